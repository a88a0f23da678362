package desired

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

type (
	policyPeer = networkingv1ac.NetworkPolicyPeerApplyConfiguration
	policyPort = networkingv1ac.NetworkPolicyPortApplyConfiguration
	egressRule = networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration
)

// RelayPolicy closes the relay to everybody except the peers that its region names.
func RelayPolicy(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	spec := networkingv1ac.NetworkPolicySpec().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(in.selector(v1alpha1.ComponentRelay))).
		WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	// A rule without peers would let everybody in: without peers there is no rule.
	if p := peers(in.Region.Spec.Network.Ingress); len(p) > 0 {
		spec.WithIngress(networkingv1ac.NetworkPolicyIngressRule().
			WithFrom(p...).WithPorts(tcp(contract.EndpointPort)))
	}
	if p := append(in.operator(), peers(in.Region.Spec.Network.Monitoring)...); len(p) > 0 {
		spec.WithIngress(networkingv1ac.NetworkPolicyIngressRule().
			WithFrom(p...).WithPorts(tcp(contract.StatusPort)))
	}
	spec.WithEgress(in.dnsEgress(), in.vaultEgress())
	if in.replicated() {
		// Those that stand by pass the endpoint's connections on.
		among := networkingv1ac.NetworkPolicyPeer().WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(in.selector(v1alpha1.ComponentRelay)))
		spec.WithIngress(networkingv1ac.NetworkPolicyIngressRule().WithFrom(among).WithPorts(tcp(contract.EndpointPort)))
		spec.WithEgress(rule([]*policyPeer{among}, tcp(contract.EndpointPort)))
	}
	spec.WithEgress(in.carrierEgress(uploadPorts()...)...)
	spec.WithEgress(in.postgresEgress()...)
	spec.WithEgress(in.webhookEgress()...)
	spec.WithEgress(in.linkEgress()...)
	return networkingv1ac.NetworkPolicy(in.tenant(), in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentRelay)).
		WithOwnerReferences(in.owner()).
		WithSpec(spec)
}

// JanitorPolicy lets the janitor reach Vault and nothing else. It outlives the
// relay, as the janitor does.
func JanitorPolicy(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(in.Relay.Name+v1alpha1.SuffixJanitorPolicy, in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentJanitor)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(in.selector(v1alpha1.ComponentJanitor))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithEgress(in.dnsEgress(), in.vaultEgress()))
}

// ErasePolicy lets the erase Job reach the carrier, in addition to what a janitor may
// reach.
func ErasePolicy(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	name := in.Relay.Name + v1alpha1.SuffixErase
	return networkingv1ac.NetworkPolicy(name, in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentJanitor)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{batchv1.JobNameLabel: name})).
			WithPolicyTypes(networkingv1.PolicyTypeEgress).
			WithEgress(in.carrierEgress()...))
}

// operator is the peer that polls the relay's status.
func (in Input) operator() []*policyPeer {
	if in.OperatorNamespace == "" {
		return nil
	}
	return []*policyPeer{networkingv1ac.NetworkPolicyPeer().
		WithNamespaceSelector(namespaceNamed(in.OperatorNamespace)).
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{
			v1alpha1.LabelComponent: v1alpha1.ComponentManager,
		}))}
}

func namespaceNamed(name string) *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: name})
}

func tcp(port int32) *policyPort {
	return networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(port))
}

// peers copies an admin's peers as they are.
func peers(in []networkingv1.NetworkPolicyPeer) []*policyPeer {
	out := make([]*policyPeer, 0, len(in))
	for _, p := range in {
		a := networkingv1ac.NetworkPolicyPeer()
		if p.PodSelector != nil {
			a.WithPodSelector(selectorOf(p.PodSelector))
		}
		if p.NamespaceSelector != nil {
			a.WithNamespaceSelector(selectorOf(p.NamespaceSelector))
		}
		if p.IPBlock != nil {
			a.WithIPBlock(block(p.IPBlock.CIDR, p.IPBlock.Except...))
		}
		out = append(out, a)
	}
	return out
}

// ports copies an admin's ports. The protocol is written out, as the API server
// would otherwise add it.
func ports(in []networkingv1.NetworkPolicyPort) []*policyPort {
	out := make([]*policyPort, 0, len(in))
	for _, p := range in {
		a := networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP)
		if p.Protocol != nil {
			a.WithProtocol(*p.Protocol)
		}
		if p.Port != nil {
			a.WithPort(*p.Port)
		}
		if p.EndPort != nil {
			a.WithEndPort(*p.EndPort)
		}
		out = append(out, a)
	}
	return out
}

func block(cidr string, except ...string) *networkingv1ac.IPBlockApplyConfiguration {
	return networkingv1ac.IPBlock().WithCIDR(cidr).WithExcept(except...)
}
