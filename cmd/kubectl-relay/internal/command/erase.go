package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// eraseFlags are the own flags of erase.
type eraseFlags struct {
	vault          setupFlags // those that say which Vault
	yes, force     bool
	withoutCluster bool
}

func newErase(streams genericiooptions.IOStreams) *cobra.Command {
	var f eraseFlags
	cmd := &cobra.Command{
		Use:   "erase NAME",
		Short: "Destroy a relay's keys with your own Vault login",
		Long: `Destroy everything that a region's Vault holds of a relay: first the keys, which makes
everything that the relay ever stored unreadable in every copy; then its identities, its
credentials and its carrier account. This cannot be undone.

Use this when the operator cannot do it: spec.deletionPolicy Erase runs the same as a Job,
but a namespace that is being deleted accepts no Job, and a cluster that is gone runs none.
It uses your own login to Vault, like the vault command: VAULT_ADDR and VAULT_TOKEN (or the
file ~/.vault-token), VAULT_CACERT and VAULT_NAMESPACE. Without VAULT_ADDR, address and CA
are the DataRegion's.

A running relay holds keys in memory for up to another hour: unless --force is given, the
relay must be suspended or its object must be being deleted. An object that is being deleted
is marked as erased (annotation ` + v1alpha1.AnnotationErased + `), so that the operator finishes its deletion.
If the object is gone, give its region with --region. If the DataRegion is gone, too, give
Vault's address with VAULT_ADDR or --vault-address, and its mounts with --kv-mount and
--transit-mount if they are not the default ones. If the cluster is gone, --without-cluster
contacts no API server and reads no kubeconfig; the same flags and the namespace then have
to say everything. If Vault holds nothing under the name, it was mistyped, and erase fails.`,
		Example: `  # An object that waits in a namespace that is being deleted
  export VAULT_TOKEN=...
  kubectl relay erase acme -n acme

  # A relay whose object is gone, without being asked
  kubectl relay erase acme -n acme --region eu --yes

  # A relay whose cluster is gone
  kubectl relay erase acme -n acme --without-cluster \
    --vault-address https://vault.eu.example.org:8200 --vault-ca vault-eu.pem`,
		Args: oneRelay,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.vault.region, "region", "", "the DataRegion whose Vault holds the keys; default: the BusinessRelay's")
	flags.StringVar(&f.vault.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vault.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	flags.StringVar(&f.vault.options.KVMount, "kv-mount", "", "mount of the KV engine; default: the DataRegion's")
	flags.StringVar(&f.vault.options.TransitMount, "transit-mount", "", "mount of the transit engine; default: the DataRegion's")
	flags.BoolVar(&f.yes, "yes", false, "skip the confirmation prompt")
	flags.BoolVar(&f.force, "force", false, "erase even if the relay may be running")
	flags.BoolVar(&f.withoutCluster, "without-cluster", false, "the cluster is gone: contact no API server, and do not check whether the relay still runs")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runErase(cmd, streams, &f, cluster, args[0]) }
	return cmd
}

func runErase(cmd *cobra.Command, streams genericiooptions.IOStreams, f *eraseFlags, cluster *cluster, name string) error {
	ctx := cmd.Context()
	target, err := f.target(cmd, streams, cluster, name)
	if err != nil {
		return err
	}
	relay := target.relay
	if relay != nil && relay.DeletionTimestamp == nil && !relay.Spec.Suspend && !f.force {
		return errors.New("the relay may be running: set spec.suspend or delete the object first, or use --force")
	}
	v, err := f.client(target.region, target.namespace, name)
	if err != nil {
		return err
	}
	switch holds, err := v.Holds(ctx); {
	case err != nil:
		return explainErase(err)
	case !holds:
		return f.nothing(target, name)
	}
	if !f.yes && !confirmed(streams, name, "Everything that relay "+name+" of namespace "+target.namespace+" ever stored becomes unreadable.") {
		return errors.New("nothing was erased: the name was not confirmed")
	}
	return f.erase(ctx, streams, target, v)
}

// eraseTarget is what an erasure is about.
type eraseTarget struct {
	k         client.Client           // nil without a cluster
	namespace string                  // the relay's
	relay     *v1alpha1.BusinessRelay // nil when its object is gone
	region    *v1alpha1.DataRegion    // as the cluster has it, or as flags describe it
}

// target finds the relay to erase and its region.
func (f *eraseFlags) target(cmd *cobra.Command, streams genericiooptions.IOStreams, cluster *cluster, name string) (eraseTarget, error) {
	if f.withoutCluster {
		return f.fromFlags(cmd, streams, *cluster.flags.Namespace)
	}
	k, namespace, err := cluster.connect()
	if err != nil {
		return eraseTarget{}, fmt.Errorf("%w; if the cluster is gone, use --without-cluster", err)
	}
	relay, region, err := f.find(cmd.Context(), streams, k, namespace, name)
	if unreachable(err) {
		err = fmt.Errorf("%w; if the cluster is gone, use --without-cluster", err)
	}
	return eraseTarget{k, namespace, relay, region}, err
}

// fromFlags reads everything from flags and environment. It ignores the kubeconfig,
// even its default namespace, which may be another cluster's.
func (f *eraseFlags) fromFlags(cmd *cobra.Command, streams genericiooptions.IOStreams, namespace string) (eraseTarget, error) {
	if namespace == "" {
		return eraseTarget{}, usage(cmd, "without a cluster, give the relay's namespace with -n")
	}
	if f.vault.vaultAddress == "" && os.Getenv(api.EnvVaultAddress) == "" {
		return eraseTarget{}, usage(cmd, "without a cluster, give Vault's address with --vault-address or $%s", api.EnvVaultAddress)
	}
	fmt.Fprintln(streams.ErrOut, "note: without a cluster nothing checks whether the relay still runs; if it does, it holds keys in memory for up to another hour")
	region := f.goneRegion()
	f.overrideMounts(region)
	return eraseTarget{namespace: namespace, region: region}, nil
}

// unreachable says whether an error means that the API server does not answer, rather
// than being its answer.
func unreachable(err error) bool {
	var failed net.Error
	return errors.As(err, &failed)
}

// client returns a client of the region's Vault by the admin's own login.
func (f *eraseFlags) client(region *v1alpha1.DataRegion, namespace, name string) (*vault.Client, error) {
	login, err := f.vault.vault(region)
	if err != nil {
		return nil, err
	}
	if login.Token() == "" {
		return nil, errors.New("no Vault token: set VAULT_TOKEN, or log in with `vault login`")
	}
	return vault.ForAdmin(login, regionMounts(login, region), namespace, v1alpha1.TenantName(name))
}

// regionMounts is the region's Vault as an admin's login reaches it.
func regionMounts(login *api.Client, region *v1alpha1.DataRegion) contract.Vault {
	settings := region.Spec.Vault
	return contract.Vault{
		Address: login.Address(), AuthPath: string(settings.AuthPath), KVMount: string(settings.KVMount),
		TransitMount: string(settings.TransitMount), PKIMount: string(settings.PKIMount),
	}
}

// nothing is the error of an erasure that found nothing: most likely something was
// mistyped, and the right keys still exist.
func (f *eraseFlags) nothing(target eraseTarget, name string) error {
	relay, namespace, mounts := target.relay, target.namespace, target.region.Spec.Vault
	check := "the name, the namespace (-n) and the region (--region), and list what Vault holds with kubectl relay orphans"
	if target.k == nil {
		check = "the name, the namespace (-n), the Vault (--vault-address) and its mounts (--kv-mount, --transit-mount), and list what Vault holds with vault list " +
			string(mounts.TransitMount) + "/keys"
	}
	text := fmt.Sprintf("nothing was erased: this Vault holds neither keys nor secrets of relay %s in namespace %s (mounts %s and %s): check %s",
		name, namespace, mounts.TransitMount, mounts.KVMount, check)
	if relay != nil && relay.DeletionTimestamp != nil {
		text += fmt.Sprintf("; if everything was erased earlier, record that on the object: kubectl annotate brelay %s -n %s %s=%s",
			name, namespace, v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes)
	}
	return errors.New(text)
}

// find returns the relay, nil when its object is gone, and the region.
func (f *eraseFlags) find(ctx context.Context, streams genericiooptions.IOStreams, k client.Client, namespace, name string) (*v1alpha1.BusinessRelay, *v1alpha1.DataRegion, error) {
	var relay v1alpha1.BusinessRelay
	err := k.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &relay)
	switch {
	case apierrors.IsNotFound(err) && f.vault.region != "":
		region, err := f.regionOrMounts(ctx, streams, k)
		return nil, region, err
	case err != nil:
		return nil, nil, explain(err, fmt.Sprintf("BusinessRelay %s in namespace %s", name, namespace),
			meantRelay(ctx, k, namespace, name, err)+" If the object is gone, give the region of its Vault with --region")
	}
	if f.vault.region == "" {
		f.vault.region = string(relay.Spec.DataRegion)
	}
	region, err := f.regionOrMounts(ctx, streams, k)
	return &relay, region, err
}

// regionOrMounts reads the region. If it is gone, its Vault's content can still be
// erased: flags and environment then say where that Vault is.
func (f *eraseFlags) regionOrMounts(ctx context.Context, streams genericiooptions.IOStreams, k client.Client) (*v1alpha1.DataRegion, error) {
	region := &v1alpha1.DataRegion{}
	err := k.Get(ctx, client.ObjectKey{Name: f.vault.region}, region)
	switch {
	case apierrors.IsNotFound(err):
		region = f.goneRegion()
		fmt.Fprintf(streams.ErrOut, "note: DataRegion %s does not exist any more: Vault's address is taken from --vault-address or $%s, its mounts from --kv-mount and --transit-mount\n",
			f.vault.region, api.EnvVaultAddress)
	case err != nil:
		return nil, explain(err, "DataRegion "+f.vault.region, "list all with: kubectl get dataregions")
	}
	f.overrideMounts(region)
	return region, nil
}

// goneRegion stands for a region that is gone, with the default mounts.
func (f *eraseFlags) goneRegion() *v1alpha1.DataRegion {
	region := &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: f.vault.region}}
	region.Spec.Vault = v1alpha1.Vault{
		AuthPath: setup.DefaultAuthPath, KVMount: setup.DefaultKVMount, TransitMount: setup.DefaultTransitMount, PKIMount: setup.DefaultPKIMount,
	}
	return region
}

// overrideMounts replaces the mounts by those of the flags.
func (f *eraseFlags) overrideMounts(region *v1alpha1.DataRegion) {
	for to, flag := range map[*v1alpha1.MountPath]string{
		&region.Spec.Vault.KVMount: f.vault.options.KVMount, &region.Spec.Vault.TransitMount: f.vault.options.TransitMount,
	} {
		if flag != "" {
			*to = v1alpha1.MountPath(flag)
		}
	}
}

func (f *eraseFlags) erase(ctx context.Context, streams genericiooptions.IOStreams, target eraseTarget, v *vault.Client) error {
	erased, err := retention.Erase(ctx, v, nil)
	if err != nil {
		return explainErase(err)
	}
	fmt.Fprintf(streams.Out, "Erased: the keys and %d secrets. Nothing that the relay stored can be read any longer.\n", erased.Secrets)
	noteReceipt(streams.ErrOut, erased, target.region.Name)
	if erased.Secrets == 0 {
		fmt.Fprintf(streams.ErrOut, "note: mount %s held no secrets of the relay; if it had an identity, that is in another mount: run the command again with --kv-mount\n", target.region.Spec.Vault.KVMount)
	}
	fmt.Fprintln(streams.Out, "Its account at the carrier may still exist; an admin of the carrier can remove it.")
	relay := target.relay
	if relay == nil || relay.DeletionTimestamp == nil {
		return nil
	}
	before := relay.DeepCopy()
	metav1.SetMetaDataAnnotation(&relay.ObjectMeta, v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes)
	if err := target.k.Patch(ctx, relay, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("the keys are erased, but that could not be recorded on the object; run `kubectl annotate brelay %s -n %s %s=%s`: %w",
			relay.Name, relay.Namespace, v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes, err)
	}
	fmt.Fprintln(streams.Out, "The object is marked as erased; the operator finishes its deletion.")
	return nil
}

// noteReceipt says so when an erasure left no receipt.
func noteReceipt(w io.Writer, e retention.Erasure, region string) {
	switch e.Receipt {
	case contract.ReceiptWritten:
	case contract.ReceiptNotSetUp:
		fmt.Fprintf(w, "note: the region's Vault has no place for receipts, so the erasure left none: run `kubectl relay setup vault --region %s` for those to come\n", region)
	default:
		fmt.Fprintf(w, "note: no receipt of the erasure could be put into Vault (%s)\n", e.Receipt)
	}
}

// explainErase says what to do about a failure; everything erased so far stays erased.
func explainErase(err error) error {
	switch {
	case errors.Is(err, vault.ErrDenied):
		return fmt.Errorf("%w by Vault; use a token that may list and delete keys and secrets, such as an admin's: %w", exit.ErrRefused, err)
	case errors.Is(err, vault.ErrSealed):
		return fmt.Errorf("%w; unseal it and run the command again", err)
	}
	return fmt.Errorf("%w; run the command again to finish", err)
}

// confirmed asks for a name to be typed.
func confirmed(streams genericiooptions.IOStreams, name, consequence string) bool {
	fmt.Fprintf(streams.ErrOut, "%s This cannot be undone.\nType %s to continue: ", consequence, name)
	line, err := bufio.NewReader(streams.In).ReadString('\n')
	return (err == nil || line != "") && strings.TrimSpace(line) == name
}
