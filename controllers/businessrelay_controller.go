package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/poll"
)

// BusinessRelayReconciler creates and maintains the children of BusinessRelays.
type BusinessRelayReconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server, for what the cache deliberately leaves out.
	Live client.Reader
	// Mapper knows which kinds the cluster serves.
	Mapper meta.RESTMapper
	Events events.EventRecorder
	// Poller follows the relays' own status.
	Poller *poll.Poller
	// RelayImage is the reference of the relay's image.
	RelayImage string
	// OperatorNamespace is where the operator runs; empty outside the cluster.
	OperatorNamespace string
	// Now is the clock.
	Now func() time.Time

	routes routes
}

// The operator reads and writes what a relay consists of. It may not read Secrets,
// make tokens, enter a pod, or bind a role.
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

// pass is one reconciliation of one relay.
type pass struct {
	*BusinessRelayReconciler

	relay  *v1alpha1.BusinessRelay
	status v1alpha1.BusinessRelayStatus // as it will be
	marks  conditions.Set               // the conditions of status

	region     *v1alpha1.DataRegion // once found
	in         desired.Input        // once the region is found
	configHash string               // once the configuration is rendered
	nodes      []map[string]string  // once placed
	numbered   bool                 // whether the number is this relay's

	// working is why the workload is not up though nothing is wrong; nil when it is.
	working error
	// again is the soonest time to look again though nothing has changed.
	again time.Duration
}

// step is one thing that a pass does.
type step struct {
	name string
	do   func(context.Context) error
}

// steps are in the order in which they must happen: nothing is made before it is
// known whose number it is and where it may be; policies and identity before pods;
// the janitor before anything that it would have to erase. Stopping comes before all
// that may be in the way of starting.
func (p *pass) steps() []step {
	return []step{
		{"checking the spec", p.checkSupported},
		{"finding the region", p.findRegion},
		{"stopping the relay", p.stopSuspended},
		{"claiming the number", p.claimNumber},
		{"holding the object", p.ensureFinalizer},
		{"making the identity", p.applyIdentity},
		{"scheduling the janitor", p.applyJanitor},
		{"placing the relay", p.place},
		{"claiming the volume", p.applyClaim},
		{"noting that the relay runs", p.noteStart},
		{"running the relay", p.applyRelay},
		{"routing to the relay", p.applyRoute},
	}
}

// Reconcile brings one BusinessRelay to what its spec asks for.
func (r *BusinessRelayReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	relay := &v1alpha1.BusinessRelay{}
	if err := r.Client.Get(ctx, req.NamespacedName, relay); err != nil {
		r.Poller.Forget(req.NamespacedName)
		r.routes.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	p := r.begin(relay)
	var err error
	if relay.DeletionTimestamp != nil {
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

func (r *BusinessRelayReconciler) begin(relay *v1alpha1.BusinessRelay) *pass {
	p := &pass{BusinessRelayReconciler: r, relay: relay}
	p.status = *relay.Status.DeepCopy()
	p.marks = conditions.For(&p.status.Conditions, relay.Generation)
	return p
}

// run takes the steps up to the first that cannot go on, then looks at how the
// relay and its janitor are, which does not depend on them.
func (p *pass) run(ctx context.Context) error {
	var stopped error
	for _, s := range p.steps() {
		if err := s.do(ctx); err != nil {
			stopped = fmt.Errorf("%s: %w", s.name, err)
			break
		}
	}
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
	p.observeRetention(janitors)
	return nil
}

// result translates what stopped the pass, and looks again no later than a
// condition may change by time alone.
func (p *pass) result(err error) (ctrl.Result, error) {
	result, err := outcome.Result(err)
	if err == nil && p.again > 0 && (result.RequeueAfter == 0 || p.again < result.RequeueAfter) {
		result.RequeueAfter = p.again
	}
	return result, err
}

// lookAgain asks for another pass after d at the latest.
func (p *pass) lookAgain(d time.Duration) {
	if p.again == 0 || d < p.again {
		p.again = d
	}
}

func (p *pass) applier() apply.Applier { return apply.Applier{Client: p.Client, Live: p.Live} }

// apply brings children about, in order.
func (p *pass) apply(ctx context.Context, children ...apply.Child) error {
	for _, c := range children {
		if _, err := p.applier().Apply(ctx, p.relay, c); err != nil {
			return err
		}
	}
	return nil
}

// ensureFinalizer holds the object until its deletion policy is carried out.
func (p *pass) ensureFinalizer(ctx context.Context) error {
	return holdFinalizer(ctx, p.Client, p.relay, true)
}

// holdFinalizer adds or removes our finalizer by a patch of the metadata alone: the
// user's object is never updated as a whole.
func holdFinalizer(ctx context.Context, c client.Client, o client.Object, hold bool) error {
	if controllerutil.ContainsFinalizer(o, v1alpha1.Finalizer) == hold {
		return nil
	}
	before := o.DeepCopyObject().(client.Object)
	if hold {
		controllerutil.AddFinalizer(o, v1alpha1.Finalizer)
	} else {
		controllerutil.RemoveFinalizer(o, v1alpha1.Finalizer)
	}
	// The list is replaced as a whole, so it must not have changed meanwhile.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, o, patch, client.FieldOwner(v1alpha1.FieldManager)); err != nil {
		return fmt.Errorf("setting the finalizer: %w", err)
	}
	return nil
}
