package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/poll"
)

// eventSource is the name under which events are recorded.
const eventSource = "relaykeep"

// Options are the operator's settings.
type Options struct {
	// RelayImage is the reference of the relay's image.
	RelayImage string
	// PullSecrets name the Secrets of OperatorNamespace with which the image is pulled
	// there, for keepers. A BusinessRelay names those of its relay.
	PullSecrets []string
	// OperatorNamespace is where the operator runs; empty outside the cluster.
	OperatorNamespace string
	// Scope is in which namespaces the manager's cache has relays, as CacheOptions was told.
	Scope Scope
	// PollInterval is the average interval at which each relay is asked for its status.
	PollInterval time.Duration
	// MaxConcurrentReconciles is how many relays are reconciled at a time.
	MaxConcurrentReconciles int
	// Source fetches the relays' status; nil means over HTTP.
	Source poll.Source
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// Setup adds the reconcilers of both kinds, and what they need, to a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Source == nil {
		o.Source = poll.NewHTTP()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := index(ctx, mgr); err != nil {
		return err
	}
	poller := poll.New(o.Source, o.PollInterval)
	if err := mgr.Add(leaderOnly{poller}); err != nil {
		return fmt.Errorf("adding the poller: %w", err)
	}
	if err := mgr.Add(leaderOnly{served{metrics.Registry, NewRetentionMetrics(mgr.GetClient(), o.Now)}}); err != nil {
		return fmt.Errorf("adding the metrics: %w", err)
	}
	if err := mgr.Add(leaderOnly{served{metrics.Registry, NewKeeperMetrics(mgr.GetClient())}}); err != nil {
		return fmt.Errorf("adding the keepers' metrics: %w", err)
	}
	if err := mgr.Add(leaderOnly{served{metrics.Registry, NewStateMetrics(mgr.GetClient())}}); err != nil {
		return fmt.Errorf("adding the states' metrics: %w", err)
	}
	if err := addScopeGuard(mgr, o.Scope); err != nil {
		return fmt.Errorf("adding the look at the namespaces: %w", err)
	}
	relays := &BusinessRelayReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Mapper: mgr.GetRESTMapper(),
		Events: mgr.GetEventRecorder(eventSource), Poller: poller,
		RelayImage: o.RelayImage, OperatorNamespace: o.OperatorNamespace, Now: o.Now,
	}
	if err := relays.setup(mgr, o.MaxConcurrentReconciles); err != nil {
		return fmt.Errorf("setting up the BusinessRelay controller: %w", err)
	}
	regions := &DataRegionReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder(eventSource),
		RelayImage: o.RelayImage, PullSecrets: o.PullSecrets, OperatorNamespace: o.OperatorNamespace, Now: o.Now,
	}
	if err := regions.setup(mgr); err != nil {
		return fmt.Errorf("setting up the DataRegion controller: %w", err)
	}
	return nil
}

// leaderOnly runs a runnable in the leader only.
type leaderOnly struct{ manager.Runnable }

// NeedLeaderElection says so.
func (leaderOnly) NeedLeaderElection() bool { return true }

// index lets the cache find relays by region and by number.
func index(ctx context.Context, mgr ctrl.Manager) error {
	fields := map[string]func(*v1alpha1.BusinessRelay) string{
		v1alpha1.FieldDataRegion:  func(r *v1alpha1.BusinessRelay) string { return string(r.Spec.DataRegion) },
		v1alpha1.FieldPhoneNumber: func(r *v1alpha1.BusinessRelay) string { return r.Spec.PhoneNumber },
	}
	for path, value := range fields {
		err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.BusinessRelay{}, path, func(o client.Object) []string {
			return []string{value(o.(*v1alpha1.BusinessRelay))}
		})
		if err != nil {
			return fmt.Errorf("indexing relays by %s: %w", path, err)
		}
	}
	return nil
}

// intent passes changes that a user may have made: not the status, which is ours.
func intent() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
}

// nodeChanged passes the creation and deletion of a node, changes of its labels, and whether it takes pods: nodes report
// their health all the time.
func nodeChanged() predicate.Predicate {
	return predicate.Or(labelled(), predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, // labelled passes it
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, ok := e.ObjectOld.(*corev1.Node)
			is, also := e.ObjectNew.(*corev1.Node)
			return ok && also && usable(was) != usable(is)
		},
	})
}

// labelled passes the creation and deletion of a node or class, and changes of its labels.
func labelled() predicate.Predicate { return predicate.LabelChangedPredicate{} }

func (r *BusinessRelayReconciler) setup(mgr ctrl.Manager, concurrent int) error {
	polled, err := r.polled(mgr)
	if err != nil {
		return err
	}
	b := ctrl.NewControllerManagedBy(mgr).
		Named("businessrelay").
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrent}).
		For(&v1alpha1.BusinessRelay{}, builder.WithPredicates(intent())).
		Watches(&v1alpha1.BusinessRelay{}, r.rivals(), builder.WithPredicates(intent())).
		Watches(&v1alpha1.BusinessRelay{}, r.accountMembers()).
		Watches(&v1alpha1.BusinessRelay{}, r.namespaceRelays()).
		Watches(&v1alpha1.DataRegion{}, handler.EnqueueRequestsFromMapFunc(r.inRegion),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.onNode), builder.WithPredicates(nodeChanged())).
		WatchesMetadata(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(r.ofClass), builder.WithPredicates(labelled())).
		WatchesRawSource(source.TypedChannel(polled, &handler.TypedEnqueueRequestForObject[client.Object]{}))
	for _, child := range []client.Object{
		&corev1.ServiceAccount{}, &corev1.ConfigMap{}, &corev1.Service{}, &corev1.PersistentVolumeClaim{}, &corev1.Pod{},
		&appsv1.StatefulSet{}, &batchv1.CronJob{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{},
	} {
		b = b.Watches(child, handler.EnqueueRequestsFromMapFunc(instance))
	}
	return b.Complete(r)
}

func (r *DataRegionReconciler) setup(mgr ctrl.Manager) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("dataregion").
		For(&v1alpha1.DataRegion{}, builder.WithPredicates(intent())).
		Watches(&v1alpha1.DataRegion{}, r.neighbours()).
		Watches(&v1alpha1.BusinessRelay{}, gathered(regionOf), builder.WithPredicates(tellsOfServices())).
		Watches(&batchv1.CronJob{}, gathered(regionOfJanitor)).
		Watches(&corev1.PersistentVolumeClaim{}, gathered(regionOfClaim)).
		Watches(&corev1.Node{}, byNode(), builder.WithPredicates(nodeChanged())).
		WatchesMetadata(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(r.withClass), builder.WithPredicates(labelled()))
	for _, kind := range keeperKinds() {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(keeperOf))
	}
	return b.Complete(r)
}

// polled turns the poller's changes into events for the controller.
func (r *BusinessRelayReconciler) polled(mgr ctrl.Manager) (<-chan event.TypedGenericEvent[client.Object], error) {
	events := make(chan event.TypedGenericEvent[client.Object])
	err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case key := <-r.Poller.Changes():
				select {
				case <-ctx.Done():
					return nil
				case events <- event.TypedGenericEvent[client.Object]{Object: named(key)}:
				}
			}
		}
	}))
	if err != nil {
		return nil, fmt.Errorf("adding the poller's events: %w", err)
	}
	return events, nil
}

func named(key types.NamespacedName) *v1alpha1.BusinessRelay {
	relay := &v1alpha1.BusinessRelay{}
	relay.Namespace, relay.Name = key.Namespace, key.Name
	return relay
}
