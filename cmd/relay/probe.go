package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/contract"
)

const (
	// probeTime bounds one connection.
	probeTime = 2 * time.Second
	// probePause is between attempts: a network policy holds a pod some moments after it started.
	probePause = time.Second
	// maxProbed is how many places are tried at most, so that the result fits into a termination message.
	maxProbed = 16
)

// newProbeCommand tries the network from where it runs. It reads no configuration and no token, and belongs to no tenant.
func newProbeCommand() *cobra.Command {
	var open, closed []string
	var patience time.Duration
	var message string
	cmd := &cobra.Command{
		Use:   "probe --open HOST:PORT --closed HOST:PORT...",
		Short: "Try which places the network lets this pod reach",
		Long: "Probe connects to places and says which it reached, as JSON in the termination message. It sends nothing.\n" +
			"It ends when those that are to be open are, and those that are to be closed are not reached, or when its\n" +
			"patience is over. `kubectl relay audit --probe-network` runs it in a pod under a relay's network policy.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n := len(open) + len(closed); n == 0 || n > maxProbed {
				return fmt.Errorf("give 1 to %d places with --open and --closed", maxProbed)
			}
			for _, place := range slices.Concat(open, closed) {
				if host, port, err := net.SplitHostPort(place); err != nil || host == "" || port == "" {
					return errors.New("a place is HOST:PORT")
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			defer cancel()
			text, err := json.Marshal(contract.ProbeResult{Version: contract.ProbeResultVersion, Reached: probePlaces(ctx, open, closed)})
			if err != nil {
				return fmt.Errorf("rendering the result: %w", err)
			}
			cmd.Println(string(text))
			if message == "" {
				return nil
			}
			if err := os.WriteFile(message, text, 0o644); err != nil {
				return fmt.Errorf("writing the termination message: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&open, contract.FlagProbeOpen, nil, "a place that should be reached, HOST:PORT")
	cmd.Flags().StringArrayVar(&closed, contract.FlagProbeClosed, nil, "a place that should not be reached, HOST:PORT")
	cmd.Flags().DurationVar(&patience, "patience", 20*time.Second, "how long to try until all is as it should be")
	cmd.Flags().StringVar(&message, "termination-log", contract.TerminationPath, "file to write the result to; empty writes none")
	return cmd
}

// probePlaces tries all places until they are as they should be, or ctx ends, and says which the last attempt reached.
func probePlaces(ctx context.Context, open, closed []string) map[string]bool {
	for {
		reached := probeOnce(context.WithoutCancel(ctx), slices.Concat(open, closed))
		as := func(want bool) func(string) bool { return func(place string) bool { return reached[place] != want } }
		if !slices.ContainsFunc(open, as(true)) && !slices.ContainsFunc(closed, as(false)) {
			return reached
		}
		select {
		case <-ctx.Done():
			return reached
		case <-time.After(probePause):
		}
	}
}

// probeOnce connects to all places at once.
func probeOnce(ctx context.Context, places []string) map[string]bool {
	reached := make(map[string]bool, len(places))
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, place := range places {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTime)
			defer cancel()
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", place)
			if err == nil {
				_ = conn.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			reached[place] = err == nil
		})
	}
	all.Wait()
	return reached
}
