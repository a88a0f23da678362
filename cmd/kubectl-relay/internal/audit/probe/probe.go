// Package probe tries, against a cluster and its regions' Vaults, whether what the privacy table promises holds. It changes
// nothing that it looks at: admission is asked by dry runs, and for pods that are not there. It must not know how outcomes
// are shown.
package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/permission"
)

const (
	// relaysAtOnce is how many relays are looked at at a time.
	relaysAtOnce = 16
	// connecting bounds the connecting to one pod, and what is asked of it.
	connecting = 10 * time.Second
)

// Options say what is audited, and by which rights.
type Options struct {
	Config *rest.Config
	Client client.Client
	// OperatorNamespace and OperatorAccount are the operator's.
	OperatorNamespace, OperatorAccount string
	// Vault returns a client with a login that may read policies, roles and key settings; the error says why there is none.
	Vault func(*v1alpha1.DataRegion) (*api.Client, error)
	// Anybody returns a client of a region's Vault without a login, for what it tells anybody.
	Anybody func(*v1alpha1.DataRegion) (*api.Client, error)
	// Released are the digests of the release's images; nil if none was given.
	Released []string
	// Network makes pods that try the network.
	Network bool
	// Now is the time by which ages are judged.
	Now time.Time
}

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

// auditor audits the relays of one cluster.
type auditor struct {
	Options

	kube   kubernetes.Interface
	relays []v1alpha1.BusinessRelay // as many as may be listed, for what must not be possible between them
	shared *shared
}

// outcomes are those of checks.
type outcomes map[audit.ID]audit.Outcome

// relay makes every check of one relay.
func (a *auditor) relay(ctx context.Context, relay *v1alpha1.BusinessRelay) outcomes {
	s := a.gather(ctx, relay)
	all := outcomes{
		audit.Policies:       a.shared.policies(ctx),
		audit.OperatorRights: a.shared.operatorRights(ctx, relay.Namespace),
		audit.MetricsRights:  a.shared.metricsRights(ctx, relay.Namespace),
		audit.AccountRights:  a.accountRights(ctx, s),
		audit.Clear:          s.clear(),
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

// Outcomes, as sentences.

func kept(format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.Kept, Detail: fmt.Sprintf(format, args...)}
}

func byDesign(format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.ByDesign, Detail: fmt.Sprintf(format, args...)}
}

func notTried(format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.NotTried, Detail: fmt.Sprintf(format, args...)}
}

func broken(remedy, format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.Broken, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// unread is the outcome of a check for which something could not be read.
func unread(what string, err error) audit.Outcome {
	why := permission.Missing(err)
	switch {
	case why != "":
	case errors.Is(err, context.DeadlineExceeded):
		why = "no answer in time"
	case apierrors.IsNotFound(err):
		why = "it is not there"
	default:
		why = err.Error()
	}
	return notTried("%s: %s", what, why)
}

// first returns the first outcome that is not kept, or else the last one.
func first(all ...audit.Outcome) audit.Outcome {
	for _, state := range []audit.State{audit.Broken, audit.NotTried, audit.ByDesign} {
		for _, o := range all {
			if o.State == state {
				return o
			}
		}
	}
	return all[len(all)-1]
}
