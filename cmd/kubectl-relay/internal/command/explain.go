package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/permission"
)

// whichCluster says how to choose a cluster.
const whichCluster = "select a cluster with --kubeconfig, --context or $KUBECONFIG"

// explain says what an API server's error about something that was read means, and what to do.
func explain(err error, what, hint string) error {
	var unreachable *url.Error
	switch {
	case apierrors.IsNotFound(err):
		return errors.New(strings.TrimSuffix(fmt.Sprintf("there is no %s; %s", what, hint), "; "))
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("reading %s: %w by Kubernetes: %w", what, exit.ErrRefused, err)
	case errors.As(err, &unreachable):
		return fmt.Errorf("reading %s: the API server cannot be reached: %w; %s", what, err, whichCluster)
	default:
		return fmt.Errorf("reading %s: %w", what, err)
	}
}

// explained adds to a refusal of the API server's which permission is missing, and to other errors of it what they mean.
func explained(err error) error {
	switch {
	case err == nil:
		return nil
	case meta.IsNoMatchError(err):
		return fmt.Errorf("this cluster does not know Relaykeep's API: install its chart, or choose another cluster with --context (%w)", err)
	case apierrors.IsUnauthorized(err):
		return refusedHere(err, "Kubernetes does not know who you are: log in again, or choose another user with --user or --context")
	case apierrors.IsForbidden(err):
		return refusedHere(err, permission.Missing(err))
	}
	return err
}

// refusedHere makes an error one that Kubernetes refused something, and adds advice.
func refusedHere(err error, advice string) error {
	if advice != "" {
		err = fmt.Errorf("%w; %s", err, advice)
	}
	if !errors.Is(err, exit.ErrRefused) {
		err = fmt.Errorf("%w by Kubernetes: %w", exit.ErrRefused, err)
	}
	return err
}

// unconfigured says what is wrong with the kubeconfig.
func (c *cluster) unconfigured(err error) error {
	const all = "list all with: kubectl config get-contexts"
	if asked := value(c.flags.Context); asked != "" && !slices.Contains(c.contexts(), asked) {
		return fmt.Errorf("reading the kubeconfig: %w; %s", err, meant(near(asked, c.contexts()), all))
	}
	return fmt.Errorf("reading the kubeconfig: %w; %s", err, whichCluster)
}

// nowhere says whether no cluster is named at all: kubectl's library then takes this machine for one.
func (c *cluster) nowhere(config *rest.Config) error {
	switch {
	case config.Host != clientcmd.ClusterDefaults.Server || os.Getenv("KUBERNETES_MASTER") != "" || value(c.flags.APIServer) != "":
		return nil
	case len(c.contexts()) == 0:
		return errors.New("there is no kubeconfig, so no cluster is known: name the file with --kubeconfig or $KUBECONFIG, or put it at ~/.kube/config")
	}
	return errors.New("the kubeconfig has no current context: choose one with --context, or with kubectl config use-context; list all with: kubectl config get-contexts")
}

// value is a flag's, empty for one that a command lacks.
func value(flag *string) string {
	if flag == nil {
		return ""
	}
	return *flag
}

// contexts are the names of the kubeconfig's contexts.
func (c *cluster) contexts() []string {
	raw, err := c.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(raw.Contexts))
	for name := range raw.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// meantRelay says which relay may be meant by a name that is not there: one of a similar name, or of another namespace.
func meantRelay(ctx context.Context, k client.Reader, namespace, name string, err error) string {
	const all = "try another namespace with -n, or list all with: kubectl relay status -A"
	if !apierrors.IsNotFound(err) {
		return all
	}
	var elsewhere, here []string
	for _, r := range listNames(ctx, k, relayKind(), "", namespace) {
		switch {
		case r.Namespace == namespace:
			here = append(here, r.Name)
		case r.Name == name:
			elsewhere = append(elsewhere, r.Namespace)
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Sprintf("there is one of that name in namespace %s: give it with -n", strings.Join(elsewhere[:min(len(elsewhere), maxMeant)], ", "))
	}
	return meant(near(name, here), all)
}

// meantRegion says which DataRegion may be meant by a name that is not there.
func meantRegion(ctx context.Context, k client.Reader, name string, err error) string {
	const all = "list all with: kubectl get dataregions"
	if !apierrors.IsNotFound(err) {
		return all
	}
	var names []string
	for _, r := range listNames(ctx, k, regionKind(), "") {
		names = append(names, r.Name)
	}
	return meant(near(name, names), all)
}

// maxMeant is how many names are suggested.
const maxMeant = 3

// meant asks whether one of some names is meant, and says what to do if there are none.
func meant(names []string, otherwise string) string {
	if len(names) == 0 {
		return otherwise
	}
	return "did you mean " + strings.Join(names[:min(len(names), maxMeant)], " or ") + "?"
}

// near returns the names that somebody may have mistyped, as cobra finds those of commands.
func near(typed string, names []string) []string {
	all := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range names {
		if name == typed { // which was found then, so something else is missing
			continue
		}
		all.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	return all.SuggestionsFor(typed)
}

// maxListed is how many objects are listed to suggest or complete a name.
const maxListed = 500

func relayKind() schema.GroupVersionKind {
	return v1alpha1.GroupVersion.WithKind(v1alpha1.KindBusinessRelay)
}

func regionKind() schema.GroupVersionKind {
	return v1alpha1.GroupVersion.WithKind(v1alpha1.KindDataRegion)
}

// listNames lists at most maxListed objects of a kind, without what they contain, in the first of some namespaces that
// may be listed; empty is all namespaces. It returns none if none may be.
func listNames(ctx context.Context, k client.Reader, kind schema.GroupVersionKind, namespaces ...string) []client.ObjectKey {
	for _, namespace := range slices.Compact(namespaces) {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if k.List(ctx, &list, client.InNamespace(namespace), client.Limit(maxListed)) != nil {
			continue
		}
		keys := make([]client.ObjectKey, len(list.Items))
		for i := range list.Items {
			keys[i] = client.ObjectKeyFromObject(&list.Items[i])
		}
		return keys
	}
	return nil
}
