package main

import (
	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/relay/serve"
)

// serveCommand runs the relay until it is told to stop.
func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the relay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLogger(cmd)
			if err != nil {
				return err
			}
			path, err := cmd.Flags().GetString("config")
			if err != nil {
				return err
			}
			region, err := cmd.Flags().GetString("region")
			if err != nil {
				return err
			}
			return serve.Run(cmd.Context(), serve.Options{ConfigPath: path, Region: region, Version: version, Log: log})
		},
	}
}
