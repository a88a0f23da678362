package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// orphansFlags are the own flags of orphans.
type orphansFlags struct {
	vault  setupFlags // those that say which Vault
	remove []string
}

func newOrphans(streams genericiooptions.IOStreams) *cobra.Command {
	var f orphansFlags
	cmd := &cobra.Command{
		Use:   "orphans --region NAME",
		Short: "List and delete what deleted relays left behind",
		Long: `List what deleted relays left behind in a region: claims, service accounts, janitors and
configurations in the cluster; keys and secrets in the region's Vault. A relay counts as
deleted if its BusinessRelay does not exist.

None of this is an error: a deleted relay leaves its volume and its janitor behind unless
its spec.deletionPolicy is Erase. The keys are destroyed when their time comes, by the
janitor or, if its namespace was deleted, by the region's keeper. Identities, credentials
and settings keys stay until somebody deletes them.

With --delete, what one relay left behind is destroyed with your own logins: in Vault, as
erase does, then in the cluster, with its volume. You are asked to type each name. It is
refused while the cluster lists no BusinessRelay at all, since an empty list may be wrong;
kubectl relay erase does not use the list.

Vault is reached as described for kubectl relay erase. If several clusters share mounts of
one Vault, which they must not, the other clusters' relays are listed as deleted.`,
		Example: `  kubectl relay orphans --region eu

  # Destroy what one of them left; its name is asked for
  kubectl relay orphans --region eu --delete shops/acme`,
		Args: none,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.vault.region, "region", "", "the DataRegion to search")
	flags.StringVar(&f.vault.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vault.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	flags.StringArrayVar(&f.remove, "delete", nil, "NAMESPACE/NAME of a deleted relay: destroy what it left behind; may be repeated")
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runOrphans(cmd, streams, &f, cluster) }
	return cmd
}

func runOrphans(cmd *cobra.Command, streams genericiooptions.IOStreams, f *orphansFlags, cluster *cluster) error {
	if f.vault.region == "" {
		return usage(cmd, "give the region with --region")
	}
	ctx := cmd.Context()
	k, _, err := cluster.connect()
	if err != nil {
		return err
	}
	region, err := readRegion(ctx, k, f.vault.region)
	if err != nil {
		return err
	}
	login, err := f.vault.vault(region)
	if err != nil {
		return err
	}
	if login.Token() == "" {
		return errors.New("no Vault token: set VAULT_TOKEN, or log in with `vault login`")
	}
	o := orphans{k: k, region: region, login: login}
	left, err := o.find(ctx)
	if err != nil {
		return err
	}
	if len(f.remove) == 0 {
		return printRemnants(streams, region.Name, left)
	}
	if o.relays == 0 {
		return fmt.Errorf("the cluster lists no BusinessRelay at all, which may be wrong: nothing was deleted; use `kubectl relay erase NAME -n NAMESPACE --region %s` for each relay", region.Name)
	}
	in := bufio.NewReader(streams.In)
	for _, name := range f.remove {
		if err := o.remove(ctx, streams, in, left, name); err != nil {
			return err
		}
	}
	return nil
}

// orphans looks for what deleted relays left behind in one region.
type orphans struct {
	k      client.Client
	region *v1alpha1.DataRegion
	login  *api.Client
	relays int // how many BusinessRelays the cluster shows
}

// remnant is what one deleted relay left behind.
type remnant struct {
	namespace, relay string
	objects          []client.Object
	vault            vault.Holding
}

func (r *remnant) name() string { return r.namespace + "/" + r.relay }

// holds says which parts of a remnant are in Vault.
func (r *remnant) holds() []string {
	var held []string
	for what, is := range map[string]bool{"wrapping key": r.vault.WrappingKey, "settings key": r.vault.SettingsKey, "log key": r.vault.LogKey, "secrets": r.vault.Secrets} {
		if is {
			held = append(held, what)
		}
	}
	return held
}

func (o *orphans) contract() contract.Vault {
	s := o.region.Spec.Vault
	return contract.Vault{
		Address: o.login.Address(), AuthPath: string(s.AuthPath), KVMount: string(s.KVMount),
		TransitMount: string(s.TransitMount), PKIMount: string(s.PKIMount),
	}
}

// printRemnants lists remnants, one a line.
func printRemnants(streams genericiooptions.IOStreams, region string, left []*remnant) error {
	if len(left) == 0 {
		fmt.Fprintf(streams.Out, "Deleted relays left nothing behind in region %s.\n", region)
		return nil
	}
	w := tabwriter.NewWriter(streams.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "RELAY\tIN THE CLUSTER\tIN VAULT")
	for _, r := range left {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.name(), orNone(kindsOf(r.objects)), orNone(r.holds()))
	}
	return w.Flush()
}

// remove destroys what one deleted relay left behind, after its name was typed.
func (o *orphans) remove(ctx context.Context, streams genericiooptions.IOStreams, in *bufio.Reader, left []*remnant, name string) error {
	r := find(left, name)
	if r == nil {
		return fmt.Errorf("no deleted relay left anything named %s in region %s: nothing was deleted; list what there is without --delete", name, o.region.Name)
	}
	fmt.Fprintf(streams.ErrOut, "Everything that relay %s ever stored becomes unreadable. It left in the cluster: %s; in Vault: %s.\nThis cannot be undone. Type %s to continue: ",
		name, orNone(kindsOf(r.objects)), orNone(r.holds()), name)
	line, err := in.ReadString('\n')
	if strings.TrimSpace(line) != name {
		return errors.Join(fmt.Errorf("nothing of %s was deleted: the name was not confirmed", name), ignoreEnd(err))
	}
	// Checked again, live: the list is as old as the typing took.
	err = o.k.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: r.relay}, &v1alpha1.BusinessRelay{})
	if err == nil {
		return fmt.Errorf("relay %s exists: nothing of it was deleted", name)
	}
	if !apierrors.IsNotFound(err) {
		return explain(err, "BusinessRelay "+name, "nothing of it was deleted")
	}
	v, err := vault.ForAdmin(o.login, o.contract(), r.namespace, v1alpha1.TenantName(r.relay))
	if err != nil {
		return err
	}
	erased, err := retention.Erase(ctx, v, nil)
	if err != nil {
		return explainErase(err)
	}
	for _, object := range r.objects {
		if err := o.k.Delete(ctx, object, client.Preconditions{UID: new(object.GetUID())}, client.PropagationPolicy("Background")); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("the keys of %s are erased; deleting %s %s: %w; run the command again to finish", name, kindOf(object), object.GetName(), err)
		}
	}
	fmt.Fprintf(streams.Out, "Erased what %s left behind: its keys, %d secrets, and %d objects of the cluster.\n", name, erased.Secrets, len(r.objects))
	noteReceipt(streams.ErrOut, erased, o.region.Name)
	return nil
}
