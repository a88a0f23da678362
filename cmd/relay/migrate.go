package main

import (
	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/relay/serve"
)

// migrateCommand moves a stopped relay's store into its database.
func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Move a stopped relay's store from its volume into its PostgreSQL database",
		Long: "Migrate copies the store into the empty database that the configuration names, as it is, sealed, in one\n" +
			"transaction, compares every table, and then makes the store on the volume unusable. It refuses a store that is in\n" +
			"use, one of another identity or of a newer release, and a database that is not empty. After a failure\n" +
			"nothing has changed: run it again. `relay serve` does the same before it opens the database.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := relayOptions(cmd)
			if err != nil {
				return err
			}
			return serve.Migrate(cmd.Context(), options)
		},
	}
	vaultFlags(cmd)
	carrierFlags(cmd)
	postgresFlags(cmd)
	return cmd
}
