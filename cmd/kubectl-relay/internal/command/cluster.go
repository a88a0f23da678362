package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// cluster is the Kubernetes cluster that the user's kubeconfig and flags name.
type cluster struct {
	flags *genericclioptions.ConfigFlags
}

// newCluster adds kubectl's own flags to a command and shows the few of them that are
// used every day. A flag that the command has itself keeps the command's meaning.
func newCluster(cmd *cobra.Command) *cluster {
	flags := genericclioptions.NewConfigFlags(true)
	flags.CacheDir = nil // nothing is cached
	if cmd.Flags().Lookup("as") != nil {
		flags.Impersonate, flags.ImpersonateUID, flags.ImpersonateGroup, flags.ImpersonateUserExtra = nil, nil, nil, nil
	}
	if cmd.Flags().Lookup("server") != nil {
		flags.APIServer = nil
	}
	all := pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	flags.AddFlags(all)
	all.VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "kubeconfig":
			f.Usage = "the kubeconfig file; default: $KUBECONFIG, or ~/.kube/config"
		case "context":
			f.Usage = "the context of the kubeconfig to use"
		case "namespace":
			f.Usage = "the namespace; default: the context's"
		default:
			f.Hidden = true
		}
	})
	cmd.Flags().AddFlagSet(all)
	return &cluster{flags}
}

// connect returns a client and the namespace to work in.
func (c *cluster) connect() (client.Client, string, error) {
	const hint = "select a cluster with --kubeconfig, --context or $KUBECONFIG"
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w; %s", err, hint)
	}
	namespace, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w; %s", err, hint)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, "", fmt.Errorf("registering the API's kinds: %w", err)
		}
	}
	k, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the cluster: %w; %s", err, hint)
	}
	return k, namespace, nil
}

// relay reads a BusinessRelay and its DataRegion.
func readRelay(ctx context.Context, k client.Client, namespace, name string) (*v1alpha1.BusinessRelay, *v1alpha1.DataRegion, error) {
	var relay v1alpha1.BusinessRelay
	if err := k.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &relay); err != nil {
		return nil, nil, explain(err, fmt.Sprintf("BusinessRelay %s in namespace %s", name, namespace),
			"try another namespace with -n, or list all with: kubectl get brelay -A")
	}
	region, err := readRegion(ctx, k, string(relay.Spec.DataRegion))
	return &relay, region, err
}

func readRegion(ctx context.Context, k client.Reader, name string) (*v1alpha1.DataRegion, error) {
	var region v1alpha1.DataRegion
	if err := k.Get(ctx, client.ObjectKey{Name: name}, &region); err != nil {
		return nil, explain(err, "DataRegion "+name, "list all with: kubectl get dataregions")
	}
	return &region, nil
}

// regionOf finds the region of the relay that has a number: in the namespace that
// -n names, or in all.
func (c *cluster) regionOf(ctx context.Context, number phone.Number) (*v1alpha1.DataRegion, error) {
	const hint = "give the server with --domain (and --server, --ca)"
	k, _, err := c.connect()
	if err != nil {
		return nil, fmt.Errorf("%w; or %s", err, hint)
	}
	var relays v1alpha1.BusinessRelayList
	if err := k.List(ctx, &relays, client.InNamespace(*c.flags.Namespace)); err != nil {
		return nil, fmt.Errorf("%w; %s", explain(err, "the list of BusinessRelays", "give a namespace with -n"), hint)
	}
	for i := range relays.Items {
		if relays.Items[i].Spec.PhoneNumber == number.E164() {
			return readRegion(ctx, k, string(relays.Items[i].Spec.DataRegion))
		}
	}
	return nil, fmt.Errorf("no BusinessRelay has the number given with --to; %s", hint)
}

// explain says what an API server's error means and what to do.
func explain(err error, what, hint string) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s; %s", what, hint)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("reading %s: %w by Kubernetes: %w", what, exit.ErrRefused, err)
	case meta.IsNoMatchError(err):
		return fmt.Errorf("this cluster does not know Relaykeep's API: install its chart, or choose another cluster with --context")
	default:
		return fmt.Errorf("reading %s: %w", what, err)
	}
}
