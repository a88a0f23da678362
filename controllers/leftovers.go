package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/retention"
)

// leftover is what a relay without a BusinessRelay left behind.
type leftover struct {
	relay  client.ObjectKey
	region string
	// health says whether its janitor runs on time; nil when only its claim is left.
	health *retention.Health
}

// leftovers finds what deleted relays left behind, in one region or, if region is empty, in
// all.
func leftovers(ctx context.Context, c client.Reader, region string, now time.Time) ([]leftover, error) {
	ours := client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay}
	jobs, claims, relays := &batchv1.CronJobList{}, &corev1.PersistentVolumeClaimList{}, &v1alpha1.BusinessRelayList{}
	// Nearly all of them are of relays that are there: nothing is copied to find that out.
	if err := c.List(ctx, jobs, ours, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing janitors: %w", err)
	}
	if err := c.List(ctx, claims, ours, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing claims: %w", err)
	}
	if err := c.List(ctx, relays, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing relays: %w", err)
	}
	there := make(map[client.ObjectKey]bool, len(relays.Items))
	for i := range relays.Items {
		there[client.ObjectKeyFromObject(&relays.Items[i])] = true
	}
	counts := func(key client.ObjectKey, in string) bool {
		return key.Name != "" && !there[key] && (region == "" || in == region)
	}
	found := map[client.ObjectKey]leftover{}
	for i := range claims.Items {
		o := &claims.Items[i]
		found[relayOf(o)] = leftover{relay: relayOf(o), region: o.Labels[v1alpha1.LabelRegion]}
	}
	for i := range jobs.Items {
		l := leftover{relay: relayOf(&jobs.Items[i]), region: janitorRegion(&jobs.Items[i])}
		if counts(l.relay, l.region) {
			health, err := janitorHealth(ctx, c, &jobs.Items[i], now)
			if err != nil {
				return nil, err
			}
			l.health = &health
		}
		found[l.relay] = l
	}
	var left []leftover
	for key, l := range found {
		if counts(key, l.region) {
			left = append(left, l)
		}
	}
	slices.SortFunc(left, func(a, b leftover) int { return cmp.Compare(a.relay.String(), b.relay.String()) })
	return left, nil
}

// relayOf names the BusinessRelay that an object was made for.
func relayOf(o client.Object) client.ObjectKey {
	return client.ObjectKey{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelInstance]}
}

func janitorRegion(job *batchv1.CronJob) string {
	return job.Spec.JobTemplate.Spec.Template.Labels[v1alpha1.LabelRegion]
}

// janitorHealth judges a janitor by its own CronJob and pods.
func janitorHealth(ctx context.Context, c client.Reader, job *batchv1.CronJob, now time.Time) (retention.Health, error) {
	pods := &corev1.PodList{}
	err := c.List(ctx, pods, client.InNamespace(job.Namespace), client.MatchingLabels{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelInstance: job.Labels[v1alpha1.LabelInstance],
		v1alpha1.LabelComponent: v1alpha1.ComponentJanitor,
	})
	if err != nil {
		return retention.Health{}, fmt.Errorf("listing a janitor's pods: %w", err)
	}
	status := v1alpha1.RetentionStatus{LastSuccessTime: job.Status.LastSuccessfulTime}
	return retention.Judge(now, job.CreationTimestamp.Time, status, retention.Last(retention.Runs(pods.Items))), nil
}

// observeLeftovers counts and judges what deleted relays left in a region. It returns
// that, and after what time the verdict may change by itself; 0 for never.
func (r *DataRegionReconciler) observeLeftovers(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus) ([]leftover, time.Duration, error) {
	left, err := leftovers(ctx, r.Client, region.Name, r.Now())
	if err != nil {
		return nil, 0, err
	}
	status.Leftovers = int32(len(left))
	health := judgeLeftovers(left)
	marks := conditions.For(&status.Conditions, region.Generation)
	marks.Mark(v1alpha1.ConditionLeftoversHealthy, health.Status, health.Reason, health.Message)
	return left, health.Recheck, nil
}

// heldBy returns the outcome that says what keeps a region from being deleted, and how to
// remove that.
func heldBy(left []leftover, region *v1alpha1.DataRegion) error {
	first := left[0].relay
	return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonInUse,
		"the region is deleted once nothing is left of deleted relays; %d left something behind, the first is %s. A Vault admin can destroy that with "+
			"kubectl relay orphans --region %s --delete %s; if the cluster has no BusinessRelay any more, use kubectl relay erase, then delete CronJob and claim",
		len(left), first, region.Name, first)
}

// judgeLeftovers sums up the health of the janitors that outlived their relays.
func judgeLeftovers(left []leftover) retention.Health {
	sum := retention.Health{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNoLeftovers, Message: "no deleted relay left anything behind"}
	for _, l := range left {
		if sum.Reason == v1alpha1.ReasonNoLeftovers {
			sum.Reason, sum.Message = v1alpha1.ReasonOnTime, "the janitors of deleted relays erase old keys on time"
		}
		switch {
		case l.health == nil:
		case l.health.Status == metav1.ConditionFalse && sum.Status == metav1.ConditionTrue:
			sum.Status, sum.Reason = l.health.Status, l.health.Reason
			sum.Message = fmt.Sprintf("the janitor that relay %s left behind: %s", l.relay, l.health.Message)
		}
		if l.health != nil && (sum.Recheck == 0 || l.health.Recheck < sum.Recheck) {
			sum.Recheck = l.health.Recheck
		}
	}
	return sum
}
