package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Claim is the relay's volume, in the region's storage class. Current is what an
// existing claim asks for, zero if there is none: a claim never shrinks, so one
// left behind by a deleted relay of the same name keeps a larger size. It outlives
// the relay: its content ages out with its keys.
func Claim(in Input, current resource.Quantity) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	size := in.Relay.Spec.Storage.Size
	if current.Cmp(size) > 0 {
		size = current
	}
	return corev1ac.PersistentVolumeClaim(v1alpha1.ClaimName(in.Relay), in.Relay.Namespace).
		WithLabels(in.regional(v1alpha1.ComponentRelay)).
		WithSpec(corev1ac.PersistentVolumeClaimSpec().
			WithAccessModes(corev1.ReadWriteOnce).
			WithStorageClassName(string(in.Region.Spec.StorageClassName)).
			WithResources(corev1ac.VolumeResourceRequirements().
				WithRequests(corev1.ResourceList{corev1.ResourceStorage: size})))
}
