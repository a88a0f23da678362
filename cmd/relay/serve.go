package main

import (
	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
)

// serveCommand runs the relay until it is told to stop.
func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the relay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := relayOptions(cmd)
			if err != nil {
				return err
			}
			if options.Arguments.PrivateLinks, err = cmd.Flags().GetStringSlice(contract.FlagPrivateLinks); err != nil {
				return err
			}
			return serve.Run(cmd.Context(), options)
		},
	}
	vaultFlags(cmd)
	carrierFlags(cmd)
	postgresFlags(cmd)
	cmd.Flags().StringSlice(contract.FlagPrivateLinks, nil, "hosts in private networks to which a business's links may lead")
	return cmd
}

// relayOptions reads what every command needs that opens a relay's store.
func relayOptions(cmd *cobra.Command) (serve.Options, error) {
	log, err := newLogger(cmd)
	if err != nil {
		return serve.Options{}, err
	}
	path, args, err := arguments(cmd)
	return serve.Options{ConfigPath: path, Arguments: args, Version: version, Log: log}, err
}
