// Package expected says what the operator would render and conclude, for programs that compare it with a cluster: the
// network policies of a relay, its janitor and a region's keeper, where a volume is, and what goes to other countries. It must not know a client.
package expected

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/placement"
)

// RelayPolicy returns the policy of a relay. Volume is the UID of its claim, empty if it has none.
func RelayPolicy(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion, volume, operatorNamespace string) (*networkingv1.NetworkPolicy, error) {
	return typed(desired.RelayPolicy(desired.Input{Relay: relay, Region: region, Volume: volume, OperatorNamespace: operatorNamespace}))
}

// JanitorPolicy returns the policy of a relay's janitor.
func JanitorPolicy(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) (*networkingv1.NetworkPolicy, error) {
	return typed(desired.JanitorPolicy(desired.Input{Relay: relay, Region: region}))
}

// KeeperPolicy returns the policy of a region's keeper, which runs in the operator's namespace.
func KeeperPolicy(region *v1alpha1.DataRegion, operatorNamespace string) (*networkingv1.NetworkPolicy, error) {
	return typed(desired.KeeperPolicy(desired.KeeperInput{Region: region, Namespace: operatorNamespace}))
}

// Transfers lists the receivers of a relay that are outside its region, or may be where that is forbidden.
func Transfers(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) []v1alpha1.Transfer {
	return desired.Transfers(relay, region)
}

// VolumeEvidence says how certain it is that a volume is in a region, given the labels of the region's nodes.
func VolumeEvidence(region string, nodes []map[string]string, volume *corev1.PersistentVolume) v1alpha1.VolumeEvidence {
	return placement.Evidence(region, nodes, volume)
}

// typed returns what is applied as the object that comes of it.
func typed(applied *networkingv1ac.NetworkPolicyApplyConfiguration) (*networkingv1.NetworkPolicy, error) {
	raw, err := json.Marshal(applied)
	if err != nil {
		return nil, fmt.Errorf("rendering a network policy: %w", err)
	}
	var policy networkingv1.NetworkPolicy
	if err := json.Unmarshal(raw, &policy); err != nil {
		return nil, fmt.Errorf("rendering a network policy: %w", err)
	}
	return &policy, nil
}
