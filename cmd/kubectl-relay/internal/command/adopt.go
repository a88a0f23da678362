package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

func newAdopt(streams genericiooptions.IOStreams) *cobra.Command {
	var f eraseFlags
	cmd := &cobra.Command{
		Use:   "adopt NAME",
		Short: "Let a relay take over what Vault holds under its names",
		Long: `Tell Vault that a relay is the same business as the one that used its names before. Vault
holds a relay's keys, identity and credentials under its namespace and name, together with
the UID of the service account that used them first, and the business's number. A relay with
another UID or another number does not open them (KeysReady is False, OwnerChanged), since
somebody else may have taken the names.

The same business can run into this, too: its service account was deleted and recreated, by
hand or by a GitOps tool with the whole namespace; the cluster was restored from a backup; or
its number changed. In these cases this command records the new UID and number, with your own
login to Vault, like the vault command: VAULT_ADDR and VAULT_TOKEN (or the file ~/.vault-token),
VAULT_CACERT and VAULT_NAMESPACE. Within seconds the relay continues with the same identity
and the same credentials.

Never adopt what another business left behind: the relay would read what is left of that
business's messages, under its identity. Destroy it instead: kubectl relay erase.`,
		Example: `  export VAULT_TOKEN=...
  kubectl relay adopt acme -n acme`,
		Args: oneRelay,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.vault.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vault.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	flags.BoolVar(&f.yes, "yes", false, "skip the confirmation prompt")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		return f.adopt(cmd.Context(), streams, k, namespace, args[0])
	}
	return cmd
}

func (f *eraseFlags) adopt(ctx context.Context, streams genericiooptions.IOStreams, k client.Client, namespace, name string) error {
	relay, region, err := readRelay(ctx, k, namespace, name)
	if err != nil {
		return err
	}
	to, err := ownerOf(ctx, k, relay)
	if err != nil {
		return err
	}
	v, err := f.client(region, namespace, name)
	if err != nil {
		return err
	}
	consequence, err := compare(ctx, v, to, name)
	if err != nil {
		return err
	}
	if consequence != "" && !f.yes && !confirmed(streams, name, consequence) {
		return errors.New("nothing was changed: the name was not confirmed")
	}
	if err := v.Adopt(ctx, to); err != nil {
		return explainErase(err)
	}
	fmt.Fprintf(streams.Out, "Adopted: relay %s continues with what Vault holds under its names.\n", name)
	return nil
}

// ownerOf returns the relay's owner according to Kubernetes: account and number.
func ownerOf(ctx context.Context, k client.Client, relay *v1alpha1.BusinessRelay) (vault.Owner, error) {
	var account corev1.ServiceAccount
	name := v1alpha1.TenantName(relay.Name)
	if err := k.Get(ctx, client.ObjectKey{Namespace: relay.Namespace, Name: name}, &account); err != nil {
		return vault.Owner{}, explain(err, fmt.Sprintf("service account %s in namespace %s", name, relay.Namespace),
			"the operator has not created it yet: see kubectl get brelay "+relay.Name+" -n "+relay.Namespace)
	}
	number, err := phone.Parse(relay.Spec.PhoneNumber)
	return vault.Owner{Account: string(account.UID), Number: number}, err
}

// compare says what adopting changes; nothing when it only finishes an earlier adoption.
func compare(ctx context.Context, v *vault.Client, to vault.Owner, name string) (string, error) {
	holds, err := v.Holds(ctx)
	if err != nil {
		return "", explainErase(err)
	}
	if !holds {
		return "", fmt.Errorf("nothing to adopt: this Vault holds neither keys nor secrets of relay %s; check the namespace (-n), and that this is the region's Vault", name)
	}
	former, err := v.ReadOwner(ctx)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return "What Vault holds under the names of relay " + name + " was created before owners were recorded; from now on it belongs to this relay.", nil
	case err != nil:
		return "", explainErase(err)
	case former == to:
		return "", nil
	case former.Number != to.Number:
		return fmt.Sprintf("The names of relay %s were used with the number %s; they would now be used with %s.\n"+
			"Continue only if this is the same business: it gets the previous owner's identity and what is left of its messages.",
			name, former.Number.E164(), to.Number.E164()), nil
	}
	return fmt.Sprintf("The names of relay %s were used by the service account with the UID %s; they would now be used by the one with the UID %s.",
		name, former.Account, to.Account), nil
}
