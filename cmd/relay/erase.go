package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/relay/retention"
)

// erasePatience is for how long erase waits for Vault. The Job that runs it tries
// again until it succeeds.
const erasePatience = 3 * time.Minute

// newEraseCommand destroys all that Vault holds of the tenant.
func newEraseCommand() *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Destroy the tenant's keys, identities and credentials for good",
		Long: "Erase has Vault delete the tenant's wrapping and settings keys, which makes everything that the relay\n" +
			"ever stored unreadable, and then its identities, credentials and carrier account. It cannot be undone.\n" +
			"Run again after a failure, it finishes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return erase(cmd, token) },
	}
	tokenFlag(cmd, &token)
	return cmd
}

func erase(cmd *cobra.Command, token string) error {
	file, client, err := janitorClient(cmd, token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), erasePatience)
	defer cancel()
	defer client.Close(context.WithoutCancel(ctx))
	err = client.Retry(ctx, func(ctx context.Context) error {
		return retention.Erase(ctx, client, file.Rotation, nil)
	})
	if err != nil {
		return unwrapped(err)
	}
	cmd.Println("erased: nothing that the relay stored can be read any more")
	return nil
}
