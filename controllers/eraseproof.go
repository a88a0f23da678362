package controllers

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// proven says whether a pod that really erases succeeded for the Job. The Job's own
// status is not enough: an admin of the namespace may create a Job of that name, or a pod
// that the real one counts. A pod that projects both tokens is the released relay with
// the command erase: admission allows no other.
func (p *pass) proven(ctx context.Context, job *batchv1.Job) (bool, error) {
	pods := &corev1.PodList{}
	err := p.Live.List(ctx, pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name})
	if err != nil {
		return false, fmt.Errorf("listing the erase Job's pods: %w", err)
	}
	return slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool {
		owner := metav1.GetControllerOf(&pod)
		return owner != nil && owner.UID == job.UID && pod.Status.Phase == corev1.PodSucceeded && p.erases(&pod)
	}), nil
}

// erases says whether a pod holds the relay's tokens with which keys and carrier account
// are destroyed, for the region's Vault.
func (p *pass) erases(pod *corev1.Pod) bool {
	var audiences []string
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.ServiceAccountToken != nil {
				audiences = append(audiences, source.ServiceAccountToken.Audience)
			}
		}
	}
	want := []string{contract.AudienceJanitor(p.region.Name), contract.AudienceRelay(p.region.Name)}
	return pod.Spec.ServiceAccountName == v1alpha1.TenantName(p.relay.Name) && slices.Equal(audiences, want)
}
