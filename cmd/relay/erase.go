package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// erasePatience is how long erase waits for Vault. The Job that runs it retries until
// it succeeds.
const erasePatience = 3 * time.Minute

// newEraseCommand destroys all that Vault holds of the tenant.
func newEraseCommand() *cobra.Command {
	var token, relayToken string
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Destroy the tenant's keys, identities and credentials for good",
		Long: "Erase has Vault delete the tenant's wrapping and settings keys, which makes everything that the relay\n" +
			"ever stored unreadable, then its identities and credentials. It removes the tenant's account from the\n" +
			"carrier, with the messages that wait there, and its password from Vault. This cannot be undone. After a\n" +
			"failure, run it again to finish.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return erase(cmd, token, relayToken) },
	}
	tokenFlag(cmd, &token)
	vaultFlags(cmd)
	carrierFlags(cmd)
	cmd.Flags().StringVar(&relayToken, "relay-token", contract.RelayTokenPath,
		"file with the service account token for the audience "+contract.AudienceRelay("REGION")+", for removing the carrier account; without it, the account stays")
	return cmd
}

func erase(cmd *cobra.Command, token, relayToken string) error {
	path, args, err := arguments(cmd)
	if err != nil {
		return err
	}
	file, err := config.LoadEraser(path, args)
	if err != nil {
		return err
	}
	client, err := tenantClient(cmd, file, contract.RoleJanitor(file.Region), token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), erasePatience)
	defer cancel()
	defer client.Close(context.WithoutCancel(ctx))
	var erasure retention.Erasure
	err = client.Retry(ctx, func(ctx context.Context) (err error) {
		erasure, err = retention.Erase(ctx, client, func(ctx context.Context) error {
			return endAccount(ctx, cmd, file, relayToken)
		})
		return err
	})
	if err != nil {
		return unwrapped(err)
	}
	cmd.Printf("erased: Vault holds no more keys of the relay; %d secrets were deleted\n", erasure.Secrets)
	if erasure.Receipt != contract.ReceiptWritten {
		cmd.Printf("no receipt of it could be put into Vault (%s)\n", erasure.Receipt)
	}
	return nil
}

// endAccount removes the tenant's account from the carrier. One that is gone, or that
// only the carrier's admin may remove, is no failure.
func endAccount(ctx context.Context, cmd *cobra.Command, file *config.File, relayToken string) error {
	if _, err := os.Stat(relayToken); err != nil {
		cmd.Println("no token of the relay: the carrier account stays; ask the carrier's admin to remove it")
		return nil
	}
	client, err := tenantClient(cmd, file, contract.RoleRelay(file.Region), relayToken)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx))
	account, err := client.CarrierAccount(ctx, phone.Number{})
	if errors.Is(err, vault.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	number, err := phone.Parse(account.Username)
	if err != nil {
		return err
	}
	x := file.Carrier.XMPP
	login := xmpp.Config{
		Login: xmpp.Login{Account: number, Domain: x.Domain, Address: x.Address, CABundle: []byte(x.CABundle), Password: account.Password},
	}
	if err = xmpp.Unregister(ctx, login); err != nil && !errors.Is(err, carrier.ErrRejected) {
		err = xmpp.Unregister(ctx, login) // some servers close the link instead of answering
	}
	switch {
	case errors.Is(err, xmpp.ErrCredentials):
		return nil // it is gone
	case errors.Is(err, xmpp.ErrRegistrationClosed):
		cmd.Println("the carrier does not let accounts be removed: ask its admin to do it")
		return nil
	}
	return err
}
