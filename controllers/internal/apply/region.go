package apply

import (
	"context"

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
	}
	return a.settle(ctx, c, live)
}

// DeleteKeepers removes a child of a region's keeper and says whether it is gone. One
// that is not the keeper's counts as gone.
func (a Applier) DeleteKeepers(ctx context.Context, region string, c Child) (gone bool, err error) {
	return a.delete(ctx, c, func(live client.Object) bool { return keepers(region, live) })
}

// keepers says whether an object is what the operator made for a region's keeper.
func keepers(region string, o client.Object) bool {
	l := o.GetLabels()
	return l[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && l[v1alpha1.LabelComponent] == v1alpha1.ComponentKeeper &&
		l[v1alpha1.LabelRegion] == region
}
