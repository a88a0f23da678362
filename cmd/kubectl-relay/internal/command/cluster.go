package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
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
	c := &cluster{flags}
	c.completeFlags(cmd)
	return c
}

// config returns how to connect to the API server.
func (c *cluster) config() (*rest.Config, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, c.unconfigured(err)
	}
	return config, c.nowhere(config)
}

// connect returns a client and the namespace to work in.
func (c *cluster) connect() (client.Client, string, error) {
	config, err := c.config()
	if err != nil {
		return nil, "", err
	}
	return c.connectBy(config)
}

// connectBy is connect with a configuration that the caller changed.
func (c *cluster) connectBy(config *rest.Config) (client.Client, string, error) {
	namespace, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", c.unconfigured(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, "", fmt.Errorf("registering the API's kinds: %w", err)
		}
	}
	k, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the cluster: %w; %s", err, whichCluster)
	}
	return k, namespace, nil
}

// findRelay reads a BusinessRelay. The error of one that is not there says which may be meant.
func findRelay(ctx context.Context, k client.Reader, namespace, name string) (*v1alpha1.BusinessRelay, error) {
	var relay v1alpha1.BusinessRelay
	if err := k.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &relay); err != nil {
		return nil, explain(err, fmt.Sprintf("BusinessRelay %s in namespace %s", name, namespace), meantRelay(ctx, k, namespace, name, err))
	}
	return &relay, nil
}

// readRelay reads a BusinessRelay and its DataRegion.
func readRelay(ctx context.Context, k client.Reader, namespace, name string) (*v1alpha1.BusinessRelay, *v1alpha1.DataRegion, error) {
	relay, err := findRelay(ctx, k, namespace, name)
	if err != nil {
		return nil, nil, err
	}
	region, err := readRegion(ctx, k, string(relay.Spec.DataRegion))
	return relay, region, err
}

// readRegion reads a DataRegion. The error of one that is not there says which may be meant.
func readRegion(ctx context.Context, k client.Reader, name string) (*v1alpha1.DataRegion, error) {
	var region v1alpha1.DataRegion
	if err := k.Get(ctx, client.ObjectKey{Name: name}, &region); err != nil {
		return nil, explain(err, "DataRegion "+name, meantRegion(ctx, k, name, err))
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
