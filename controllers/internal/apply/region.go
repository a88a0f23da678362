package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// ApplyKeepers brings a child of a region's keeper to its desired state.
func (a Applier) ApplyKeepers(ctx context.Context, region string, c Child) error {
	live, err := a.get(ctx, c)
	if err != nil {
		return err
	}
	if live != nil {
		switch {
		case live.GetDeletionTimestamp() != nil:
			return outcome.Waiting(goneSoon, v1alpha1.ReasonProgressing, "%s is being deleted; it is created again once it is gone", c.Name())
		case !keepers(region, live):
			return outcome.Stalled(v1alpha1.ReasonNameTaken, "%s exists in the operator's namespace and does not belong to this region: find out who made it", c.Name())
		}
		if differs, err := c.differs(live); err != nil || !differs {
			return err
		}
	}
	err = a.Client.Apply(ctx, c.config, client.FieldOwner(v1alpha1.FieldManager), client.ForceOwnership)
	return outcome.FromAPI("applying "+c.Name(), err)
}

// DeleteKeepers removes a child of a region's keeper and says whether it is gone. One
// that is not the keeper's counts as gone.
func (a Applier) DeleteKeepers(ctx context.Context, region string, c Child) (gone bool, err error) {
	live := c.empty()
	err = a.Live.Get(ctx, c.key, live)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading %s: %w", c.Name(), err)
	case !keepers(region, live):
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

// keepers says whether an object is what the operator made for a region's keeper.
func keepers(region string, o client.Object) bool {
	l := o.GetLabels()
	return l[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && l[v1alpha1.LabelComponent] == v1alpha1.ComponentKeeper &&
		l[v1alpha1.LabelRegion] == region
}
