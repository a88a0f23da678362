// Command receiver is a business's webhook in the lab: it answers the Cloud API's
// handshake, checks the signature of each webhook and prints it, one JSON object a
// line. What it prints is plaintext, as the business is to see it. It must not know
// anything of its relay but what `kubectl relay credentials` told the business.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8445", "`address` to listen on")
	cert := flags.String("cert", "", "PEM `file` with the certificate")
	key := flags.String("key", "", "PEM `file` with its key")
	known := flags.String("credentials", "", "JSON `file` with verifyToken and webhookSecret; it may come later")
	if err := flags.Parse(args); err != nil {
		return err
	}
	server := &http.Server{
		Addr:              *listen,
		Handler:           &receiver{credentialsFile: *known, now: time.Now, out: os.Stdout},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServeTLS(*cert, *key) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving the webhook: %w", err)
	case <-ctx.Done():
		if err := server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("ending: %w", err)
		}
		return nil
	}
}
