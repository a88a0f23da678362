package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/placement"
)

// DataRegionReconciler reports whether each DataRegion can take relays, and keeps it
// from being deleted while relays use it.
type DataRegionReconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server.
	Live   client.Reader
	Events events.EventRecorder
	// RelayImage is what keepers run.
	RelayImage string
	// PullSecrets name the Secrets of OperatorNamespace with which keepers' image is
	// pulled.
	PullSecrets []string
	// OperatorNamespace is where keepers run; empty outside the cluster.
	OperatorNamespace string
	// Now is the clock.
	Now func() time.Time

	memory apply.Memory
}

// What a region needs beside its relays' namespaces: its keeper in the operator's own, and events about the region,
// which Kubernetes keeps in the namespace default. An operator that watches all namespaces has both already.
//
// +kubebuilder:rbac:groups=relaykeep.dev,resources=dataregions,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=relaykeep.dev,resources=dataregions/status,verbs=patch
// +kubebuilder:rbac:groups="",namespace=relaykeep-system,resources=serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",namespace=relaykeep-system,resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=batch,namespace=relaykeep-system,resources=cronjobs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,namespace=relaykeep-system,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,namespace=default,resources=events,verbs=create;patch

// Reconcile brings one DataRegion and its keeper to the desired state.
func (r *DataRegionReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	region := &v1alpha1.DataRegion{}
	if err := r.Client.Get(ctx, req.NamespacedName, region); err != nil {
		r.memory.Forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	status := region.Status.DeepCopy()
	recheck, err := r.run(ctx, region, status)
	if err == nil && region.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(region, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil // the object is gone: there is no status to write
	}
	if writeErr := r.summarize(ctx, region, status, err); client.IgnoreNotFound(writeErr) != nil {
		return outcome.Result(writeErr)
	}
	result, err := outcome.Result(err)
	if err == nil && recheck > 0 && (result.RequeueAfter == 0 || recheck < result.RequeueAfter) {
		result.RequeueAfter = recheck
	}
	return result, err
}

// run counts relays and nodes, adds or removes the finalizer, and judges the region. It
// returns after what time the verdict on the keeper or on leftovers may change by
// itself.
func (r *DataRegionReconciler) run(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus) (time.Duration, error) {
	status.Countries = region.Spec.InCountries()
	var err error
	if status.Regions, err = r.names(ctx); err != nil {
		return 0, err
	}
	facts, err := gather(ctx, r.Client, region)
	if err != nil {
		return 0, err
	}
	relays := &v1alpha1.BusinessRelayList{}
	if err := r.Client.List(ctx, relays, client.MatchingFields{v1alpha1.FieldDataRegion: region.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("listing the region's relays: %w", err)
	}
	status.Nodes = int32(placement.Matching(region, facts.Usable))
	status.Relays = int32(len(relays.Items))
	recheck, err := r.observeKeeper(ctx, region, status)
	if err != nil {
		return 0, err
	}
	left, soon, err := r.observeLeftovers(ctx, region, status)
	if err != nil {
		return 0, err
	}
	unserved := observeServices(region, relays.Items, status)
	if recheck == 0 || soon > 0 && soon < recheck {
		recheck = soon
	}
	if region.DeletionTimestamp == nil {
		if err := holdFinalizer(ctx, r.Client, region, true); err != nil {
			return 0, err
		}
		keeperErr := r.applyKeeper(ctx, region, status)
		if err := placement.Region(facts); err != nil {
			return recheck, err
		}
		if keeperErr != nil {
			return recheck, keeperErr
		}
		return recheck, unserved
	}
	return recheck, r.letGo(ctx, region, status, left)
}

// letGo removes the finalizer of a region that is being deleted once nothing needs it.
func (r *DataRegionReconciler) letGo(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus, left []leftover) error {
	if status.Relays > 0 {
		if err := r.applyKeeper(ctx, region, status); err != nil {
			return err
		}
		return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonInUse,
			"the region is deleted once no BusinessRelay uses it; %d do (kubectl get brelay -A --field-selector spec.dataRegion=%s)", status.Relays, region.Name)
	}
	if len(left) > 0 {
		if err := r.applyKeeper(ctx, region, status); err != nil {
			return err
		}
		return heldBy(left, region)
	}
	if err := r.dismissKeeper(ctx, region, status); err != nil {
		return err
	}
	return client.IgnoreNotFound(holdFinalizer(ctx, r.Client, region, false))
}

// names lists all DataRegions, in order.
func (r *DataRegionReconciler) names(ctx context.Context) ([]string, error) {
	list := &v1alpha1.DataRegionList{}
	if err := r.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the regions: %w", err)
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names, nil
}

// summarize computes Ready, Reconciling and Stalled and writes the status, once.
func (r *DataRegionReconciler) summarize(ctx context.Context, region *v1alpha1.DataRegion, status *v1alpha1.DataRegionStatus, stopped error) error {
	status.ObservedGeneration = region.Generation
	marks := conditions.For(&status.Conditions, region.Generation)
	v, is := outcome.Of(stopped), metav1.ConditionFalse
	if stopped == nil {
		v = outcome.Verdict{Reason: v1alpha1.ReasonReady, Message: "the region has nodes and its storage class, and nothing is known to be wrong with its Vault and carrier"}
		is = metav1.ConditionTrue
	}
	before := marks.Get(v1alpha1.ConditionReady).DeepCopy()
	marks.Mark(v1alpha1.ConditionReady, is, v.Reason, v.Message)
	marks.Progress(v)
	err := conditions.WriteStatus(ctx, r.Client, v1alpha1.GroupVersion.WithKind(v1alpha1.KindDataRegion),
		client.ObjectKeyFromObject(region), &region.Status, status)
	if err != nil {
		return err
	}
	if before == nil || before.Status != is || before.Reason != v.Reason {
		kind := corev1.EventTypeNormal
		if v.Stalled || v.Missing {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(region, nil, kind, v.Reason, "Reconcile", "%s", v.Message)
	}
	return nil
}
