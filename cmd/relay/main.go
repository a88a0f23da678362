// Command relay is a business's relay: serve is the relay itself, retain the janitor
// that destroys its old keys, keep the region's keeper of last resort, erase
// destroys all keys of a relay, migrate moves its store into PostgreSQL, probe tries the
// network, and witness cosigns logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/footprint"
)

func main() {
	footprint.Keep()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// rootCommand holds the commands and the flags that they share.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "relay",
		Short:         "A business's own messaging relay",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: ownPathsOnly,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.PersistentFlags().String("config", contract.ConfigPath, "configuration file, written by the operator")
	root.PersistentFlags().String("region", "", "refuse the configuration of another region; empty accepts any")
	root.PersistentFlags().String("log-level", "info", "debug, info, warn or error")
	root.AddCommand(serveCommand(), migrateCommand(), newRetainCommand(), newKeepCommand(), newEraseCommand(), newProbeCommand(), newWitnessCommand(), versionCommand())
	return root
}
