package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// clusterDomain stands for a region without a domain of its own, whose relays are
// reached inside the cluster only.
const clusterDomain = "svc.cluster.local"

// setupFlags are the own flags of setup vault.
type setupFlags struct {
	region                        string
	vaultAddress, vaultCA         string
	options                       setup.Options
	kubernetesCAFile              string
	reviewerAccount, reviewerFile string
	printOnly, removeFormer       bool
}

func newSetup(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Prepare what relays depend on",
		Long:  "Prepare what relays depend on and the operator must not be able to do itself.",
		Args:  none,
	}
	cmd.AddCommand(newSetupVault(streams), newSetupCarrierAccount(streams))
	return cmd
}

func newSetupVault(streams genericiooptions.IOStreams) *cobra.Command {
	var f setupFlags
	cmd := &cobra.Command{
		Use:   "vault --region NAME",
		Short: "Prepare a region's Vault: mounts, policies, roles",
		Long: `Prepare a region's Vault (or OpenBao) for relays: the mounts, the policies, which are
templated on the service account that logs in, and the roles, which belong to the
region. It is done once per region: a new business needs no change in Vault. Running
it again only changes what is not as it should be. Run it again before the operator is
upgraded, and after the auth mount was recreated.

Vault is reached like with the vault command: VAULT_ADDR and VAULT_TOKEN (or the file
~/.vault-token), VAULT_CACERT and VAULT_NAMESPACE. Without VAULT_ADDR, address and CA
are the DataRegion's. The token must be allowed to manage mounts, policies and roles,
such as a root token; it is not stored.

In Kubernetes, it creates a service account that may do nothing but review tokens
(` + reviewerRole + `), with which Vault asks whether a relay's token is genuine. Its
token is long-lived, since Vault would not renew it: it is in the Secret with the
account's name, and deleting that Secret revokes it. With --reviewer-token-file
nothing is created in Kubernetes.

Roles of earlier releases, which name no region, stay as they are: relays use them until
the operator is upgraded, and janitors of deleted relays for as long as they run. Use
--remove-former to remove them once nothing in the cluster uses them.`,
		Example: `  # Show every write, in order, for review; nothing is changed
  kubectl relay setup vault --region eu --print

  # Do it
  export VAULT_TOKEN=...
  kubectl relay setup vault --region eu

  # Vault reaches the API server by another name than this kubeconfig does
  kubectl relay setup vault --region eu --kubernetes-host https://10.99.0.1:6443

  # Before there is the DataRegion
  kubectl relay setup vault --region eu --vault-address https://vault.eu.example.org:8200 --endpoint-domain relays.eu.example.org

  # What a former release set up, when nothing uses it any more
  kubectl relay setup vault --region eu --remove-former`,
		Args: none,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.region, "region", "", "the DataRegion whose Vault to prepare; its spec has the address and the mounts, and the roles are named after it")
	flags.StringVar(&f.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	flags.StringVar(&f.options.AuthPath, "auth-path", "", "mount of the Kubernetes auth method; default: the DataRegion's, else "+setup.DefaultAuthPath)
	flags.StringVar(&f.options.KVMount, "kv-mount", "", "mount of the KV version 2 engine; default: the DataRegion's, else "+setup.DefaultKVMount)
	flags.StringVar(&f.options.TransitMount, "transit-mount", "", "mount of the transit engine; default: the DataRegion's, else "+setup.DefaultTransitMount)
	flags.StringVar(&f.options.PKIMount, "pki-mount", "", "mount of the PKI engine; a CA is created there if there is none; default: the DataRegion's, else "+setup.DefaultPKIMount)
	flags.StringVar(&f.options.OperatorNamespace, "operator-namespace", "", "namespace of the operator, where the region's keeper runs; default: "+setup.DefaultOperatorNamespace)
	flags.StringVar(&f.options.EndpointDomain, "endpoint-domain", "", "parent domain of the relays' host names, for their certificates; default: the DataRegion's, else "+clusterDomain)
	flags.StringVar(&f.options.AuthorityName, "authority-name", "", "common name of a CA that is created; default: named after the region")
	flags.StringVar(&f.options.KubernetesHost, "kubernetes-host", "", "https URL of the Kubernetes API server as Vault reaches it; default: the kubeconfig's")
	flags.StringVar(&f.kubernetesCAFile, "kubernetes-ca", "", "PEM file with the API server's CA certificates; default: the kubeconfig's")
	flags.StringVar(&f.reviewerAccount, "reviewer-service-account", "", "namespace/name of the service account with which Vault reviews tokens; default: relaykeep-system/vault-reviewer-REGION")
	flags.StringVar(&f.reviewerFile, "reviewer-token-file", "", "file with a token that may review tokens; then nothing is created in Kubernetes")
	flags.BoolVar(&f.removeFormer, "remove-former", false, "instead, remove the roles and policies of earlier releases if nothing in the cluster uses them")
	flags.BoolVar(&f.printOnly, "print", false, "print the writes instead of making them; secrets are left out")
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runSetupVault(cmd, streams, &f, cluster) }
	return cmd
}

func runSetupVault(cmd *cobra.Command, streams genericiooptions.IOStreams, f *setupFlags, cluster *cluster) error {
	ctx := cmd.Context()
	account, err := f.reviewer()
	if err != nil {
		return usage(cmd, "%v", err)
	}
	if f.region == "" {
		return usage(cmd, "give the DataRegion with --region: the roles in Vault are named after it")
	}
	region, err := f.readRegion(ctx, cluster)
	if err != nil {
		return err
	}
	options, err := f.resolve(cluster, region)
	if err != nil {
		return err
	}
	v, err := f.vault(region)
	if err != nil {
		return err
	}
	if f.printOnly {
		return printSetup(ctx, streams, v, options)
	}
	if v.Token() == "" {
		return errors.New("no Vault token: set VAULT_TOKEN, or log in with `vault login`")
	}
	if f.removeFormer {
		return removeFormer(ctx, streams, cluster, v, options, region)
	}
	if options.ReviewerToken, err = f.reviewerToken(ctx, cluster, account); err != nil {
		return err
	}
	err = setup.Apply(ctx, v, options, func(title string, changed bool) {
		mark := "is there  "
		if changed {
			mark = "written   "
		}
		fmt.Fprintln(streams.Out, mark+title)
	})
	if err != nil {
		return fmt.Errorf("%w; what was written so far stays; run the command again", err)
	}
	fmt.Fprintln(streams.Out, "Vault is ready for relays.")
	return nil
}

// reviewer returns the service account of --reviewer-service-account, or the
// region's own.
func (f *setupFlags) reviewer() (reviewer, error) {
	if f.reviewerAccount == "" {
		return reviewer{namespace: "relaykeep-system", name: "vault-reviewer-" + f.region}, nil
	}
	namespace, name, ok := strings.Cut(f.reviewerAccount, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return reviewer{}, errors.New("--reviewer-service-account must be namespace/name")
	}
	return reviewer{namespace, name}, nil
}

// readRegion returns the DataRegion. It need not exist yet if a flag names the Vault,
// and no cluster is needed if a file has the reviewer's token.
func (f *setupFlags) readRegion(ctx context.Context, cluster *cluster) (*v1alpha1.DataRegion, error) {
	none := &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: f.region}}
	k, _, err := cluster.connect()
	if err != nil && f.vaultAddress != "" && f.reviewerFile != "" {
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	var region v1alpha1.DataRegion
	err = k.Get(ctx, client.ObjectKey{Name: f.region}, &region)
	if f.vaultAddress != "" && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) {
		return none, nil
	}
	if err != nil {
		return nil, explain(err, "DataRegion "+f.region, meantRegion(ctx, k, f.region, err)+" If it is yet to be made, give its Vault with --vault-address")
	}
	return &region, nil
}

// resolve fills in, from the region and the kubeconfig, what no flag says, except the
// reviewer's token.
func (f *setupFlags) resolve(cluster *cluster, region *v1alpha1.DataRegion) (setup.Options, error) {
	o := f.options
	spec := region.Spec.Vault
	o.Region = f.region
	config, err := cluster.flags.ToRESTConfig()
	if err != nil && (o.KubernetesHost == "" || f.kubernetesCAFile == "") {
		return o, fmt.Errorf("reading the kubeconfig: %w; or use --kubernetes-host and --kubernetes-ca", err)
	}
	if f.kubernetesCAFile != "" {
		pem, err := os.ReadFile(f.kubernetesCAFile)
		if err != nil {
			return o, fmt.Errorf("reading --kubernetes-ca: %w", err)
		}
		o.KubernetesCA = string(pem)
	} else if o.KubernetesCA, err = authorityOf(config.CAData, config.CAFile); err != nil {
		return o, err
	}
	host := o.KubernetesHost
	if host == "" {
		host = config.Host
	}
	for field, fallback := range map[*string]string{
		&o.AuthPath: string(spec.AuthPath), &o.KVMount: string(spec.KVMount),
		&o.TransitMount: string(spec.TransitMount), &o.PKIMount: string(spec.PKIMount),
		&o.EndpointDomain: string(region.Spec.Endpoint.Domain), &o.AuthorityName: "Relaykeep endpoints of " + f.region, &o.KubernetesHost: host,
	} {
		if *field == "" {
			*field = fallback
		}
	}
	if o.EndpointDomain == "" {
		o.EndpointDomain = clusterDomain
	}
	return o, nil
}

// authorityOf returns the kubeconfig's authority of the API server.
func authorityOf(data []byte, file string) (string, error) {
	if len(data) > 0 {
		return string(data), nil
	}
	if file == "" {
		return "", errors.New("the kubeconfig has no CA for the API server: give one with --kubernetes-ca")
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the API server's CA: %w", err)
	}
	return string(pem), nil
}

// reviewerToken returns the token with which Vault has tokens reviewed.
func (f *setupFlags) reviewerToken(ctx context.Context, cluster *cluster, account reviewer) (string, error) {
	if f.reviewerFile != "" {
		token, err := os.ReadFile(f.reviewerFile)
		if err != nil {
			return "", fmt.Errorf("reading --reviewer-token-file: %w", err)
		}
		return strings.TrimSpace(string(token)), nil
	}
	k, _, err := cluster.connect()
	if err != nil {
		return "", err
	}
	return account.token(ctx, k)
}

// printSetup prints the writes. It asks Vault for the accessor that the policies name,
// if a token allows that.
func printSetup(ctx context.Context, streams genericiooptions.IOStreams, v *api.Client, o setup.Options) error {
	o.ReviewerToken = "(not shown)"
	accessor := ""
	if v.Token() != "" {
		var err error
		if accessor, err = setup.Accessor(ctx, v, o.AuthPath); err != nil {
			fmt.Fprintln(streams.ErrOut, "note:", err)
		}
	}
	if accessor == "" {
		fmt.Fprintln(streams.ErrOut, "note: ACCESSOR stands for the auth mount's accessor, which `vault auth list` shows once it is mounted")
	}
	return setup.Print(streams.Out, o, accessor)
}
