package probe

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

// shared is what several relays have in common, found out once.
type shared struct {
	*auditor

	regions      memo[string, read[*v1alpha1.DataRegion]]
	perRegion    memo[[2]string, outcomes] // region and namespace
	policySets   memo[string, read[[]networkingv1.NetworkPolicy]]
	nodes        memo[struct{}, read[map[string]corev1.Node]]
	rights       memo[rightsKey, audit.Outcome]
	readers      memo[struct{}, read[[]account]]
	admissionAll memo[struct{}, audit.Outcome]
	vaults       memo[string, *vaultFacts]
	operatorLogs memo[struct{}, audit.Outcome]
	authorities  memo[string, read[[]byte]]
}

// rightsKey is whose rights in which namespace, of which list.
type rightsKey struct {
	account   account
	namespace string
	list      string
}

func (s *shared) regionNamed(ctx context.Context, name string) (*v1alpha1.DataRegion, error) {
	found := s.regions.of(name, func() read[*v1alpha1.DataRegion] {
		return get(ctx, s.Client, client.ObjectKey{Name: name}, &v1alpha1.DataRegion{})
	})
	return found.value, found.err
}

// networkPolicies are those of a namespace.
func (s *shared) networkPolicies(ctx context.Context, namespace string) ([]networkingv1.NetworkPolicy, error) {
	found := s.policySets.of(namespace, func() read[[]networkingv1.NetworkPolicy] {
		var list networkingv1.NetworkPolicyList
		err := s.Client.List(ctx, &list, client.InNamespace(namespace))
		return read[[]networkingv1.NetworkPolicy]{list.Items, err}
	})
	return found.value, found.err
}

// allNodes are the cluster's, by name.
func (s *shared) allNodes(ctx context.Context) (map[string]corev1.Node, error) {
	found := s.nodes.of(struct{}{}, func() read[map[string]corev1.Node] {
		var list corev1.NodeList
		err := s.Client.List(ctx, &list)
		nodes := make(map[string]corev1.Node, len(list.Items))
		for i := range list.Items {
			nodes[list.Items[i].Name] = list.Items[i]
		}
		return read[map[string]corev1.Node]{nodes, err}
	})
	return found.value, found.err
}
