package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/rollout"
)

// readSet reads the relay's StatefulSet as it is before the pass, and whether its update is underway.
func (p *pass) readSet(ctx context.Context) error {
	set := &appsv1.StatefulSet{}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.relay.Namespace, Name: v1alpha1.TenantName(p.relay.Name)}, set)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading the relay's StatefulSet: %w", err)
	}
	if set, err = apply.Unpack(set, &appsv1.StatefulSet{}); err != nil {
		return err
	}
	p.set = set
	p.updating = isUpdating(set) && !p.relay.Spec.Suspend
	return nil
}

// isUp says whether a relay runs, all of its pods ready and as its StatefulSet wants them.
func isUp(set *appsv1.StatefulSet) bool {
	return set.Spec.Replicas != nil && *set.Spec.Replicas > 0 && rolledOut(set, *set.Spec.Replicas) == nil
}

// isUpdating says whether a relay was updated and has not come up since.
func isUpdating(set *appsv1.StatefulSet) bool {
	return set.Annotations[v1alpha1.AnnotationUpdating] != "" && set.Spec.Replicas != nil && *set.Spec.Replicas > 0 && !isUp(set)
}

// endTurn gives the relay's turn back unless its update is underway: whatever ended the pass must not hold the others up.
func (p *pass) endTurn() {
	if !p.updating && p.waits == nil {
		p.turns.Done(client.ObjectKeyFromObject(p.relay))
	}
}

// awaitTurn has a relay be restarted for the sake of an update only when it is its turn: a few of a region at a time. What
// the business asks for by its spec is done at once. The steps after this one leave what restarts the relay, and its janitor,
// in the former version while it waits.
func (p *pass) awaitTurn(ctx context.Context) error {
	if p.set == nil { // it may be made again in its update
		if since, has := p.turns.Since(p.region.Name, client.ObjectKeyFromObject(p.relay)); has {
			p.in.Updating = since.UTC().Format(time.RFC3339)
		}
		return nil
	}
	want, err := p.wantedSet()
	if err != nil {
		return err
	}
	switch restarts := p.restarts(want); {
	case !restarts && p.updating:
		p.in.Updating = p.set.Annotations[v1alpha1.AnnotationUpdating]
		return nil
	case !restarts, p.atOnce(want):
		return nil
	}
	if lost, err := p.lostConfig(ctx, want); err != nil || lost {
		return err
	}
	return p.takeTurn(ctx)
}

// lostConfig says whether the configuration that the relay's pods run with is gone, and this operator would write another:
// they could not start again as they are.
func (p *pass) lostConfig(ctx context.Context, want *appsv1ac.StatefulSetApplyConfiguration) (bool, error) {
	const hash = v1alpha1.AnnotationConfigHash
	if p.set.Spec.Template.Annotations[hash] == want.Spec.Template.Annotations[hash] {
		return false, nil // it is made again as it was
	}
	key := client.ObjectKey{Namespace: p.relay.Namespace, Name: v1alpha1.TenantName(p.relay.Name)}
	for _, from := range []client.Reader{p.Client, p.Live} {
		if err := from.Get(ctx, key, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
			return false, client.IgnoreNotFound(err)
		}
	}
	return true, nil
}

func (p *pass) wantedSet() (*appsv1ac.StatefulSetApplyConfiguration, error) {
	_, hash, err := desired.Config(p.in)
	if err != nil {
		return nil, err
	}
	return desired.StatefulSet(p.in, hash), nil
}

// restarts says whether what we want of a relay's pods is other than what we last wanted.
func (p *pass) restarts(want *appsv1ac.StatefulSetApplyConfiguration) bool {
	if was := p.set.Annotations[v1alpha1.AnnotationTemplateHash]; was != "" {
		return was != want.Annotations[v1alpha1.AnnotationTemplateHash]
	}
	// It was made before there was such an annotation.
	containers, hash := p.set.Spec.Template.Spec.Containers, want.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
	return len(containers) != 1 || containers[0].Image != p.RelayImage || p.set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != hash
}

// atOnce says whether a relay that would be restarted must not wait: its business asks for it, it has no pods that could go
// on, or the region no longer admits them as they are.
func (p *pass) atOnce(want *appsv1ac.StatefulSetApplyConfiguration) bool {
	asked := p.relay.Generation != p.relay.Status.ObservedGeneration
	if of := p.set.Annotations[v1alpha1.AnnotationSpecGeneration]; of != "" {
		asked = of != strconv.FormatInt(p.relay.Generation, 10)
	}
	stopped := p.relay.Spec.Suspend || p.set.Spec.Replicas == nil || *p.set.Spec.Replicas == 0
	return asked || stopped || p.in.UsesClaim() && p.in.Volume == "" || p.outlawed(want)
}

// outlawed says whether pods as they are would be refused if they had to start again, and may reach what they use no more:
// the admission policies hold them to the DataRegion's Vault, carrier, database and nodes, the network policies to their
// addresses.
func (p *pass) outlawed(want *appsv1ac.StatefulSetApplyConfiguration) bool {
	live := p.set.Spec.Template.Spec
	wanted := want.Spec.Template.Spec
	if len(live.Containers) != 1 || len(wanted.Containers) != 1 {
		return true
	}
	services := func(args []string) []string {
		return slices.DeleteFunc(slices.Clone(args), func(a string) bool {
			return !slices.ContainsFunc([]string{"--vault-", "--xmpp-", "--postgres-", "--private-links"}, func(s string) bool { return strings.HasPrefix(a, s) })
		})
	}
	if !slices.Equal(services(live.Containers[0].Args), services(wanted.Containers[0].Args)) {
		return true
	}
	for label, value := range wanted.NodeSelector {
		if live.NodeSelector[label] != value {
			return true
		}
	}
	return false
}

// takeTurn begins the relay's update, or says why it waits. A relay that is not up waits as well, since it may come up as it
// is, but takes nobody's turn: it may have troubles of its own.
func (p *pass) takeTurn(ctx context.Context) error {
	key := client.ObjectKeyFromObject(p.relay)
	limit := int(cmp.Or(p.region.Spec.Rollout.MaxUnavailable, v1alpha1.DefaultMaxUnavailable))
	since, wait, err := p.turns.Take(p.region.Name, key, limit, p.Now(), func() ([]rollout.Underway, error) { return p.underway(ctx) })
	if err != nil {
		return err
	}
	if wait != nil {
		p.waits = outcome.Waiting(wait.After, v1alpha1.ReasonUpdateWaiting, "the update waits for its turn: others of the region are being updated")
		if wait.Paused {
			p.waits = outcome.Waiting(wait.After, v1alpha1.ReasonUpdatePaused,
				"the update is paused: another relay of the region was updated and does not become ready; a cluster admin finds it with kubectl get brelay -A")
		}
		p.lookAgain(wait.After)
		return nil
	}
	if isUp(p.set) || p.updating {
		p.in.Updating = since.UTC().Format(time.RFC3339)
	}
	return nil
}

// underway lists the updates of the region's relays that have begun. StatefulSets that are no relay's do not count.
func (p *pass) underway(ctx context.Context) (all []rollout.Underway, err error) {
	relays := &v1alpha1.BusinessRelayList{}
	if err := p.Client.List(ctx, relays, client.MatchingFields{v1alpha1.FieldDataRegion: p.region.Name}); err != nil {
		return nil, fmt.Errorf("listing the region's relays: %w", err)
	}
	owners := map[types.UID]client.ObjectKey{}
	for i := range relays.Items {
		if r := &relays.Items[i]; !r.Spec.Suspend {
			owners[r.UID] = client.ObjectKeyFromObject(r)
		}
	}
	sets := &appsv1.StatefulSetList{}
	if err := p.Client.List(ctx, sets, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}); err != nil {
		return nil, fmt.Errorf("listing the relays' StatefulSets: %w", err)
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		owner := metav1.GetControllerOf(set)
		if owner == nil || !isUpdating(set) {
			continue
		}
		relay, is := owners[owner.UID]
		since, err := time.Parse(time.RFC3339, set.Annotations[v1alpha1.AnnotationUpdating])
		if is && err == nil && relay.Namespace == set.Namespace && set.Name == v1alpha1.TenantName(relay.Name) {
			all = append(all, rollout.Underway{Relay: relay, Since: since})
		}
	}
	return all, nil
}
