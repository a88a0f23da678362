package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// goneSoon is when to look again for an object that is being deleted.
const goneSoon = 5 * time.Second

// Applier writes children.
type Applier struct {
	// Client reads from the cache, which holds only what has our labels.
	Client client.Client
	// Live reads from the API server: an object that is not in the cache may still exist,
	// and belong to somebody else.
	Live client.Reader
	// Owner is what the children belong to: a relay, or a region without a namespace.
	Owner types.NamespacedName
	// Memory is the process's.
	Memory *Memory
	// Told is called when a child that others changed is as it should be again.
	Told func(Drift)
	// Now is the clock.
	Now func() time.Time
}

// Apply brings a child of relay to its desired state. It returns the object as it was
// before, nil if it did not exist. One that is as it was found before may be packed.
func (a Applier) Apply(ctx context.Context, relay *v1alpha1.BusinessRelay, c Child) (client.Object, error) {
	live, err := a.find(ctx, c)
	if err == nil && live != nil && !a.Memory.settled(a.Owner, c, live.GetResourceVersion()) {
		live, err = Unpack(live, c.empty())
	}
	if err != nil {
		return nil, err
	}
	if live != nil {
		if err := guard(relay, c, live); err != nil {
			return nil, err
		}
	}
	return live, a.settle(ctx, c, live)
}

// Make makes a child that its caller has just not found at the API server.
func (a Applier) Make(ctx context.Context, c Child) error { return a.settle(ctx, c, nil) }

// Delete removes a child of relay and says whether it is gone. An object that is not
// ours counts as gone: it was never the relay's.
func (a Applier) Delete(ctx context.Context, relay *v1alpha1.BusinessRelay, c Child) (gone bool, err error) {
	return a.delete(ctx, c, func(live client.Object) bool { return ours(relay, live) })
}

// delete removes a child that is its owner's, and says whether it is gone.
func (a Applier) delete(ctx context.Context, c Child, owned func(live client.Object) bool) (gone bool, err error) {
	a.Memory.drop(a.Owner, c)
	live := c.empty()
	err = a.Live.Get(ctx, c.key, live)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading %s: %w", c.Name(), err)
	case !owned(live):
		return true, nil
	case live.GetDeletionTimestamp() != nil:
		return false, nil
	}
	err = a.Client.Delete(ctx, live,
		client.Preconditions{UID: new(live.GetUID())},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting %s: %w", c.Name(), err)
	}
	return false, nil
}

// get reads a child as it is; nil if there is none.
func (a Applier) get(ctx context.Context, c Child) (client.Object, error) {
	live, err := a.find(ctx, c)
	if err != nil || live == nil {
		return nil, err
	}
	return Unpack(live, c.empty())
}

// find reads a child from the cache and, before concluding that there is none, from
// the API server. The cache's own object is not copied: nobody may change it.
func (a Applier) find(ctx context.Context, c Child) (client.Object, error) {
	for _, from := range []client.Reader{a.Client, a.Live} {
		live := c.empty()
		err := from.Get(ctx, c.key, live, client.UnsafeDisableDeepCopy)
		if err == nil {
			return live, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading %s: %w", c.Name(), err)
		}
	}
	return nil, nil
}

// guard refuses to touch an object that is not ours, and waits for one that is being
// deleted.
func guard(relay *v1alpha1.BusinessRelay, c Child, live client.Object) error {
	if live.GetDeletionTimestamp() != nil {
		return outcome.Waiting(goneSoon, v1alpha1.ReasonProgressing,
			"%s is being deleted; it is created again once it is gone", c.Name())
	}
	if ours(relay, live) {
		return nil
	}
	if former(relay, live) {
		return outcome.Waiting(goneSoon, v1alpha1.ReasonProgressing,
			"%s belongs to a deleted BusinessRelay of the same name; it is created again once it is gone", c.Name())
	}
	return outcome.Stalled(v1alpha1.ReasonNameTaken, "%s", taken(relay, c, live))
}

// taken says whose an object is and what to do. It never advises to delete it: it may
// hold what cannot be restored, and may have been this relay's own before a restore.
func taken(relay *v1alpha1.BusinessRelay, c Child, live client.Object) string {
	if owner := metav1.GetControllerOf(live); owner != nil {
		return fmt.Sprintf("%s belongs to %s %s: give the BusinessRelay another name", c.Name(), owner.Kind, owner.Name)
	}
	return fmt.Sprintf("%s exists and the operator did not make it: give the BusinessRelay another name; if it is this relay's own, "+
		"as after a restore, label it %s=%s and %s=%s", c.Name(),
		v1alpha1.LabelManagedBy, v1alpha1.ManagedBy, v1alpha1.LabelInstance, relay.Name)
}

// ours says whether an object is the relay's: the relay is its controller, or it has no
// controller and the operator made it, as for children that outlive a relay. Its labels
// say so, or our field manager if somebody removed a label.
func ours(relay *v1alpha1.BusinessRelay, o client.Object) bool {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return owner.UID == relay.UID
	}
	l := o.GetLabels()
	if of, labelled := l[v1alpha1.LabelInstance]; labelled && of != relay.Name {
		return false
	}
	return l[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && l[v1alpha1.LabelInstance] == relay.Name || applied(o)
}

// applied says whether this operator has applied an object.
func applied(o client.Object) bool {
	return slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == v1alpha1.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply
	})
}

// former says whether an object belongs to an earlier relay of the same name.
func former(relay *v1alpha1.BusinessRelay, o client.Object) bool {
	owner := metav1.GetControllerOf(o)
	return owner != nil && owner.Kind == v1alpha1.KindBusinessRelay &&
		owner.APIVersion == v1alpha1.GroupVersion.String() && owner.Name == relay.Name
}

// Cached says whether the cache has a child.
func (a Applier) Cached(ctx context.Context, c Child) (bool, error) {
	err := a.Client.Get(ctx, c.key, c.empty(), client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", c.Name(), err)
	}
	return true, nil
}
