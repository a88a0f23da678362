package desired

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// HTTPSPort is the port at which a relay's Service takes the business's requests.
const HTTPSPort int32 = 443

// ServiceAccount is the tenant's identity towards Vault; it has no rights in
// Kubernetes. It outlives the relay, because the janitor logs in with it.
func ServiceAccount(in Input) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(in.tenant(), in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentRelay)).
		WithAutomountServiceAccountToken(false)
}

// Service is the endpoint inside the cluster, at the port of HTTPS and at the
// relay's own, and the status port.
func Service(in Input) *corev1ac.ServiceApplyConfiguration {
	port := func(name string, port int32, target string) *corev1ac.ServicePortApplyConfiguration {
		return corev1ac.ServicePort().WithName(name).WithPort(port).
			WithProtocol(corev1.ProtocolTCP).WithTargetPort(intstr.FromString(target))
	}
	return corev1ac.Service(in.tenant(), in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentRelay)).
		WithOwnerReferences(in.owner()).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(in.selector(v1alpha1.ComponentRelay)).
			WithPorts(
				port(portHTTPS, HTTPSPort, portHTTPS),
				port("relay", contract.EndpointPort, portHTTPS),
				port(portStatus, contract.StatusPort, portStatus),
			))
}

// DisruptionBudget lets one replica at a time be drained. It is for several
// replicas only: with one, it would block every drain.
func DisruptionBudget(in Input) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(in.tenant(), in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentRelay)).
		WithOwnerReferences(in.owner()).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithSelector(metav1ac.LabelSelector().
				WithMatchLabels(in.selector(v1alpha1.ComponentRelay))))
}
