package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// The operator reads and writes a relay's objects. It may not read Secrets, create
// tokens, enter a pod, or bind a role.
//
// +kubebuilder:rbac:groups=relaykeep.dev,resources=businessrelays,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=relaykeep.dev,resources=businessrelays/status,verbs=patch
// +kubebuilder:rbac:groups=relaykeep.dev,resources=businessrelays/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=configmaps;serviceaccounts;services;persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumes,verbs=get
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=tlsroutes;httproutes,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups=storage.k8s.io,resources=storageclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=list

// step is one thing that a pass does.
type step struct {
	name string
	do   func(context.Context) error
}

// steps are in the order in which they must happen: the number and the region are
// checked before anything is made; policies and identity come before pods, and the
// janitor before anything that it would have to erase. Stopping comes first, before the
// steps that can fail.
func (p *pass) steps() []step {
	return []step{
		{"checking the public key", p.checkPublicKey},
		{"finding the region", p.findRegion},
		{"stopping the relay", p.stopSuspended},
		{"finding the database", p.findDatabase},
		{"claiming the number", p.claimNumber},
		{"holding the object", p.ensureFinalizer},
		{"making the identity", p.applyIdentity},
		{"waiting for its turn", p.awaitTurn},
		{"configuring the relay", p.applyConfig},
		{"scheduling the janitor", p.applyJanitor},
		{"placing the relay", p.place},
		{"claiming the volume", p.applyClaim},
		{"noting that the relay runs", p.noteStart},
		{"running the relay", p.applyRelay},
		{"routing to the relay", p.applyRoute},
		{"routing the shared host", p.applyShared},
	}
}

// Reconcile brings one BusinessRelay to what its spec asks for.
func (r *BusinessRelayReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	relay := &v1alpha1.BusinessRelay{}
	if err := r.Client.Get(ctx, req.NamespacedName, relay); err != nil {
		r.Poller.Forget(req.NamespacedName)
		r.memory.Forget(req.NamespacedName)
		r.turns.Done(req.NamespacedName)
		r.routes.forget(req.NamespacedName)
		r.volumes.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	p := r.begin(relay)
	var err error
	if relay.DeletionTimestamp != nil {
		r.turns.Done(req.NamespacedName)
		var done bool
		if done, err = p.finish(ctx); done {
			return ctrl.Result{}, nil
		}
	} else {
		err = p.run(ctx)
	}
	if writeErr := p.summarize(ctx, err); client.IgnoreNotFound(writeErr) != nil {
		return outcome.Result(writeErr)
	}
	return p.result(err)
}

// run runs the steps up to the first that fails, and then observes the relay and its
// janitor, which does not depend on the steps.
func (p *pass) run(ctx context.Context) error {
	stopped := p.readSet(ctx)
	if stopped != nil {
		return stopped
	}
	for _, s := range p.steps() {
		if err := s.do(ctx); err != nil {
			stopped = fmt.Errorf("%s: %w", s.name, err)
			break
		}
	}
	p.endTurn()
	if err := p.observe(ctx); err != nil && stopped == nil {
		return err
	}
	return stopped
}

// observe reads the pods of the relay and the janitor into the status.
func (p *pass) observe(ctx context.Context) error {
	pods := &corev1.PodList{}
	err := p.Client.List(ctx, pods, client.InNamespace(p.relay.Namespace), client.MatchingLabels{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelInstance: p.relay.Name,
	})
	if err != nil {
		return fmt.Errorf("listing the relay's pods: %w", err)
	}
	relays, janitors := split(pods.Items)
	p.observeRelay(relays)
	if err := p.markPlaced(ctx, relays); err != nil {
		return err
	}
	p.observeRetention(janitors)
	return nil
}

// result translates what stopped the pass into a result, with another pass no later
// than a condition may change by time alone.
func (p *pass) result(err error) (ctrl.Result, error) {
	result, err := outcome.Result(err)
	if err == nil && p.again > 0 && (result.RequeueAfter == 0 || p.again < result.RequeueAfter) {
		result.RequeueAfter = p.again
	}
	return result, err
}
