package controllers

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/retention"
)

// keeperGone is when to check again for a keeper that is being removed.
const keeperGone = 3 * time.Second

// keeperKinds are the kinds of what a region's keeper consists of.
func keeperKinds() []client.Object {
	return []client.Object{&corev1.ServiceAccount{}, &networkingv1.NetworkPolicy{}, &batchv1.CronJob{}, &corev1.Pod{}}
}

// keeper returns the objects of a region's keeper. Its network policy comes first, so that
// its pod is never without one.
func (r *DataRegionReconciler) keeper(region *v1alpha1.DataRegion) []apply.Child {
	in := desired.KeeperInput{Region: region, RelayImage: r.RelayImage, PullSecrets: r.PullSecrets, Namespace: r.OperatorNamespace}
	return []apply.Child{
		apply.Typed(desired.KeeperPolicy(in), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(desired.KeeperAccount(in), corev1ac.ExtractServiceAccount),
		apply.Typed(desired.KeeperCronJob(in), batchv1ac.ExtractCronJob),
	}
}

// observeKeeper marks whether the region's keeper runs on time. It returns after what
// time that may change by itself.
func (r *DataRegionReconciler) observeKeeper(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus) (time.Duration, error) {
	marks := conditions.For(&status.Conditions, region.Generation)
	if r.OperatorNamespace == "" {
		marks.Mark(v1alpha1.ConditionKeeperHealthy, metav1.ConditionUnknown, v1alpha1.ReasonNotConfigured,
			"the operator runs outside the cluster and starts no keeper: run relay keep elsewhere, every hour")
		return 0, nil
	}
	pods := &corev1.PodList{}
	if err := r.Client.List(ctx, pods, client.InNamespace(r.OperatorNamespace), client.MatchingLabels(desired.KeeperLabels(region.Name))); err != nil {
		return 0, fmt.Errorf("listing the keeper's pods: %w", err)
	}
	last := retention.LastKeeperRun(pods.Items)
	retention.RecordKeeper(&status.Keeper, last)
	h := retention.JudgeKeeper(r.Now(), region.CreationTimestamp.Time, status.Keeper, last)
	marks.Mark(v1alpha1.ConditionKeeperHealthy, h.Status, h.Reason, h.Message)
	return h.Recheck, nil
}

func (r *DataRegionReconciler) applier(region *v1alpha1.DataRegion) apply.Applier {
	return apply.Applier{
		Client: r.Client, Live: r.Live, Owner: client.ObjectKeyFromObject(region), Memory: &r.memory, Now: r.Now,
		Told: func(d apply.Drift) { tellDrift(r.Events, region, d) },
	}
}

// applyKeeper makes the region's keeper.
func (r *DataRegionReconciler) applyKeeper(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus) error {
	if r.OperatorNamespace == "" {
		return nil
	}
	a := r.applier(region)
	for _, child := range r.keeper(region) {
		if err := a.ApplyKeepers(ctx, region.Name, child); err != nil {
			v := outcome.Of(err)
			conditions.For(&status.Conditions, region.Generation).Mark(v1alpha1.ConditionKeeperHealthy, metav1.ConditionFalse, v.Reason, v.Message)
			return err
		}
	}
	return nil
}

// dismissKeeper removes the keeper of a region that is being deleted. While the region's Vault
// holds wrapping keys the keeper keeps running, and the region waits: nothing else would
// destroy them.
func (r *DataRegionReconciler) dismissKeeper(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus) error {
	if r.OperatorNamespace == "" {
		return nil
	}
	abandoned := region.Annotations[v1alpha1.AnnotationAbandonKeys] == v1alpha1.AnnotationAbandonKeysYes
	if left := status.Keeper.WrappingKeys; left > 0 && !abandoned {
		if err := r.applyKeeper(ctx, region, status); err != nil {
			return err
		}
		return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonInUse,
			"the region's Vault holds %d wrapping keys, which the keeper destroys when they are due: see kubectl relay orphans --region %s. If that Vault is gone, annotate this object with %s=%s",
			left, region.Name, v1alpha1.AnnotationAbandonKeys, v1alpha1.AnnotationAbandonKeysYes)
	}
	a := r.applier(region)
	all := true
	for _, child := range r.keeper(region) {
		gone, err := a.DeleteKeepers(ctx, region.Name, child)
		if err != nil {
			return err
		}
		all = all && gone
	}
	if !all {
		return outcome.Waiting(keeperGone, v1alpha1.ReasonProgressing, "the region's keeper is being removed")
	}
	return nil
}
