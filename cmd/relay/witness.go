package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/relay/certfile"
	"github.com/relaykeep/relaykeep/relay/witness"
)

// Limits of a witness's connections.
const (
	witnessTimeout  = 10 * time.Second
	witnessIdle     = 2 * time.Minute
	witnessHeader   = 8 << 10
	witnessShutdown = 5 * time.Second
)

// newWitnessCommand is a witness of relays' logs, which whoever distrusts those who run the relays may run.
func newWitnessCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the logs of relays",
		Long: "A witness cosigns the checkpoints of relays' logs, if each only adds to what it cosigned before\n" +
			"(c2sp.org/tlog-witness), so that nobody can show another history of a log or take a part of it back. A business runs it\n" +
			"where those who run its relay cannot reach it, and names it in spec.log.witness. It sees how many entries a log has,\n" +
			"and none of them. All that it needs is in one directory.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "the witness's directory (required)")
	_ = cmd.MarkPersistentFlagRequired("dir") // it exists
	cmd.AddCommand(newWitnessInit(&dir), newWitnessAdd(&dir), newWitnessServe(&dir))
	return cmd
}

func newWitnessInit(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "init NAME --dir DIR",
		Short: "Make a witness's key and print its public half",
		Long:  "Init makes a witness's key in a directory and prints the public half, for spec.log.witness.publicKey and for\nkubectl relay audit verify --witness-key. NAME is the witness's name, such as its host name.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := witness.Create(*dir, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key)
			return err
		},
	}
}

func newWitnessAdd(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "add KEY --dir DIR",
		Short: "Have a witness cosign a log",
		Long:  "Add has a witness cosign the log with this public key, which kubectl relay log key prints. It may be running.\nA log whose key has changed is added again.",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return witness.AddLog(*dir, args[0]) },
	}
}

func newWitnessServe(dir *string) *cobra.Command {
	var address, certificate, key string
	cmd := &cobra.Command{
		Use:   "serve --dir DIR",
		Short: "Answer relays",
		Long: "Serve answers relays at /add-checkpoint until it is told to stop. Relays only use https: give a certificate, or put a\n" +
			"server that has one in front of it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (certificate == "") != (key == "") {
				return errors.New("--tls-certificate and --tls-key belong together")
			}
			return serveWitness(cmd, *dir, address, certificate, key)
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8089", "host:port to listen on")
	cmd.Flags().StringVar(&certificate, "tls-certificate", "", "PEM file with the certificate")
	cmd.Flags().StringVar(&key, "tls-key", "", "PEM file with the certificate's key")
	return cmd
}

func serveWitness(cmd *cobra.Command, dir, address, certificate, key string) (err error) {
	log, err := newLogger(cmd)
	if err != nil {
		return err
	}
	w, err := witness.Open(dir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	server := &http.Server{
		Handler: w, ReadTimeout: witnessTimeout, WriteTimeout: witnessTimeout, IdleTimeout: witnessIdle, MaxHeaderBytes: witnessHeader,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if certificate != "" {
		files := certfile.New(certificate, key, time.Now)
		if err := files.Load(); err != nil {
			return fmt.Errorf("--tls-certificate and --tls-key: %w", err)
		}
		server.TLSConfig.GetCertificate = files.Get
	}
	ctx := cmd.Context()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	log.LogAttrs(ctx, slog.LevelInfo, "the witness answers", slog.String("address", listener.Addr().String()), slog.String("key", w.Key()))
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessShutdown)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	defer stop()
	if certificate != "" {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return <-stopped
	}
	return fmt.Errorf("serving: %w", err)
}
