// Package probe tries, against a cluster and its regions' Vaults, whether what the privacy table promises holds. It changes
// nothing that it looks at: admission is asked by dry runs, and for pods that are not there. It must not know how outcomes
// are shown.
package probe

import (
	"context"
	"fmt"
	"maps"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

// relaysAtOnce is how many relays are looked at at a time.
const relaysAtOnce = 16

// Run audits relays. What cannot be tried is an outcome, and no error.
func Run(ctx context.Context, o Options, relays []v1alpha1.BusinessRelay) ([]audit.Relay, error) {
	kube, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	a := &auditor{Options: o, kube: kube, relays: relays}
	var all v1alpha1.BusinessRelayList
	if err := o.Client.List(ctx, &all); err == nil { // who may not list all has those that are audited
		a.relays = all.Items
	}
	a.shared = &shared{auditor: a}
	tables := make([]audit.Relay, len(relays))
	var group errgroup.Group
	group.SetLimit(relaysAtOnce)
	for i := range relays {
		group.Go(func() error {
			relay := &relays[i]
			tables[i] = audit.Judge(relay.Namespace, relay.Name, string(relay.Spec.DataRegion), a.relay(ctx, relay))
			return nil
		})
	}
	_ = group.Wait() // which no outcome fails
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("auditing %d relays: %w", len(relays), err)
	}
	return tables, nil
}

// relay makes every check of one relay.
func (a *auditor) relay(ctx context.Context, relay *v1alpha1.BusinessRelay) outcomes {
	s := a.gather(ctx, relay)
	all := outcomes{
		audit.Policies:       a.shared.policies(ctx),
		audit.OperatorRights: a.shared.operatorRights(ctx, relay.Namespace),
		audit.MetricsRights:  a.shared.metricsRights(ctx, relay.Namespace),
		audit.AccountRights:  a.accountRights(ctx, s),
		audit.Clear:          s.clear(),
		audit.Processors:     s.processors(),
		audit.HiddenNumbers:  s.hiddenNumbers(),
		audit.Keys:           a.keys(s),
		audit.JanitorRuns:    a.janitorRuns(s),
		audit.Release:        a.release(s),
		audit.RelayNetwork:   a.relayNetwork(ctx, s),
		audit.JanitorNetwork: a.janitorNetwork(ctx, s),
	}
	if s.regionErr != nil {
		for _, id := range []audit.ID{audit.KeeperRuns, audit.KeeperRights, audit.KeeperNetwork, audit.PodRegion, audit.VolumeRegion} {
			all[id] = unread("DataRegion "+string(relay.Spec.DataRegion), s.regionErr)
		}
	} else {
		maps.Copy(all, a.shared.region(ctx, s.region, relay.Namespace))
		all[audit.PodRegion], all[audit.VolumeRegion] = a.podRegion(ctx, s), a.volumeRegion(ctx, s)
	}
	maps.Copy(all, a.admission(ctx, s))
	maps.Copy(all, a.vault(ctx, s))
	maps.Copy(all, a.throughPod(ctx, s))
	all[audit.Reach] = a.reach(ctx, s)
	return all
}

// region makes the checks of a region's keeper, for relays of a namespace.
func (s *shared) region(ctx context.Context, region *v1alpha1.DataRegion, namespace string) outcomes {
	return s.perRegion.of([2]string{region.Name, namespace}, func() outcomes {
		return outcomes{
			audit.KeeperRuns:    s.keeperRuns(ctx, region),
			audit.KeeperNetwork: s.keeperNetwork(ctx, region),
			audit.KeeperRights:  s.keeperRights(ctx, region, namespace),
		}
	})
}
