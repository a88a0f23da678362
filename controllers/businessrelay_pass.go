package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/conditions"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/poll"
	"github.com/relaykeep/relaykeep/controllers/internal/rollout"
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

	memory   apply.Memory
	conducts conducts
	turns    rollout.Turns
	routes   routes
	volumes  volumes
}

// pass is one reconciliation of one relay.
type pass struct {
	*BusinessRelayReconciler

	relay  *v1alpha1.BusinessRelay
	status v1alpha1.BusinessRelayStatus // as it will be written
	wrote  v1alpha1.BusinessRelayStatus // as the API server has it
	marks  conditions.Set               // the conditions of status

	claimed    *corev1.PersistentVolumeClaim // once read; empty if there is none
	set        *appsv1.StatefulSet           // the relay's before the pass; nil if there is none
	region     *v1alpha1.DataRegion          // once found
	in         desired.Input                 // once the region is found
	configHash string                        // once the configuration is rendered
	nodes      []map[string]string           // once placed
	nodeNames  []string                      // likewise
	placed     bool                          // whether the region can take the relay
	numbered   bool                          // whether the number is this relay's
	pods       int                           // how many pods of the relay there are, once observed

	// working says why the workload is not up yet although nothing is wrong; nil when it is
	// up.
	working error
	// waits says why the relay is not updated yet; nil if it is as it should be.
	waits error
	// grows says why the volume is smaller than it should be; nil if it is not.
	grows error
	// updating says that the relay's update is underway when the pass ends.
	updating bool
	// asked says that the pass has had the relay asked, which was not asked before as it is now.
	asked bool
	// again is after what time to run another pass even if nothing changes; 0 for never.
	again time.Duration
}

func (r *BusinessRelayReconciler) begin(relay *v1alpha1.BusinessRelay) *pass {
	p := &pass{BusinessRelayReconciler: r, relay: relay}
	p.status, p.wrote = *relay.Status.DeepCopy(), relay.Status
	p.marks = conditions.For(&p.status.Conditions, relay.Generation)
	return p
}

// lookAgain asks for another pass after d at the latest.
func (p *pass) lookAgain(d time.Duration) {
	if p.again == 0 || d < p.again {
		p.again = d
	}
}

func (p *pass) applier() apply.Applier {
	return apply.Applier{
		Client: p.Client, Live: p.Live, Owner: client.ObjectKeyFromObject(p.relay), Memory: &p.memory, Told: p.tellDrift, Now: p.Now,
	}
}

// tellDrift emits an event when somebody changed a child. Where a network policy was changed, pods may have reached what
// they must not, or been reached.
func (p *pass) tellDrift(d apply.Drift) {
	if d.Live == nil && p.relay.DeletionTimestamp != nil {
		return // a deletion in the foreground takes objects that the erasure needs
	}
	tellDrift(p.Events, p.relay, d)
}

func tellDrift(to events.EventRecorder, about client.Object, d apply.Drift) {
	reason := v1alpha1.ReasonChildChanged
	if d.Kind == "NetworkPolicy" {
		reason = v1alpha1.ReasonNetworkPolicyChanged
	}
	// Events that are about the same version of the same object are counted as one, with the first one's words.
	var child runtime.Object
	if d.Live != nil {
		child = d.Live
	}
	to.Eventf(about, child, corev1.EventTypeWarning, reason, "Mend", "%s", d)
}

// apply applies children, in order.
func (p *pass) apply(ctx context.Context, children ...apply.Child) error {
	for _, c := range children {
		if _, err := p.applier().Apply(ctx, p.relay, c); err != nil {
			return err
		}
	}
	return nil
}

// holdFinalizer adds or removes our finalizer with a patch of the metadata alone: the
// operator never updates the user's object as a whole.
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

// ensureFinalizer adds the finalizer, which keeps the object until its deletion policy is
// carried out.
func (p *pass) ensureFinalizer(ctx context.Context) error {
	return holdFinalizer(ctx, p.Client, p.relay, true)
}
