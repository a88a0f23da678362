package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/rollout"
)

// errNotItsTurn ends the steps of a relay that works and is to be updated later.
var errNotItsTurn = errors.New("it is not the relay's turn")

// awaitTurn has a relay that works be restarted for the sake of an update only when it is its turn: a few of a region at a
// time. What the business asks for by its spec is done at once.
func (p *pass) awaitTurn(ctx context.Context) error {
	set := &appsv1.StatefulSet{}
	key := client.ObjectKeyFromObject(p.relay)
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.relay.Namespace, Name: v1alpha1.TenantName(p.relay.Name)}, set)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the relay's StatefulSet: %w", err)
	}
	up := err == nil && set.Spec.Replicas != nil && *set.Spec.Replicas > 0 && rolledOut(set, *set.Spec.Replicas) == nil
	restarts := err == nil
	if restarts {
		if restarts, err = p.restarts(set); err != nil {
			return err
		}
	}
	switch {
	case apierrors.IsNotFound(err), !restarts && up:
		p.turns.Done(key)
	case !restarts:
		p.in.Updating = set.Annotations[v1alpha1.AnnotationUpdating]
	case p.relay.Spec.Suspend || p.relay.Generation != p.relay.Status.ObservedGeneration:
		p.turns.Done(key)
	default:
		return p.takeTurn(ctx, key, up)
	}
	return nil
}

// restarts says whether what we want of a relay's pods is other than what we last wanted.
func (p *pass) restarts(set *appsv1.StatefulSet) (bool, error) {
	_, hash, err := desired.Config(p.in)
	if err != nil {
		return false, err
	}
	want := desired.StatefulSet(p.in, hash)
	if was := set.Annotations[v1alpha1.AnnotationTemplateHash]; was != "" {
		return was != want.Annotations[v1alpha1.AnnotationTemplateHash], nil
	}
	// It was made before there was such an annotation.
	containers := set.Spec.Template.Spec.Containers
	return set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != hash || len(containers) != 1 || containers[0].Image != p.RelayImage, nil
}

// takeTurn begins the relay's update, or says why it waits. A relay that is not up waits as well, since it may come up as it
// is, but takes nobody's turn: it may have troubles of its own.
func (p *pass) takeTurn(ctx context.Context, key client.ObjectKey, up bool) error {
	limit := int(cmp.Or(p.region.Spec.Rollout.MaxUnavailable, v1alpha1.DefaultMaxUnavailable))
	since, wait, err := p.turns.Take(p.region.Name, key, limit, p.Now(), func() ([]rollout.Underway, error) { return p.underway(ctx) })
	if err != nil {
		return err
	}
	if wait != nil {
		p.waits = outcome.Waiting(wait.After, v1alpha1.ReasonUpdateWaiting, "%s", wait.Reason)
		p.lookAgain(wait.After)
		return errNotItsTurn
	}
	if !up {
		p.turns.Done(key)
		return nil
	}
	p.in.Updating = since.UTC().Format(time.RFC3339)
	return nil
}

// underway lists the updates of the region's relays that have begun.
func (p *pass) underway(ctx context.Context) (all []rollout.Underway, err error) {
	sets := &appsv1.StatefulSetList{}
	if err := p.Client.List(ctx, sets, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}); err != nil {
		return nil, fmt.Errorf("listing the relays' StatefulSets: %w", err)
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		since, err := time.Parse(time.RFC3339, set.Annotations[v1alpha1.AnnotationUpdating])
		if err == nil && set.Spec.Template.Labels[v1alpha1.LabelRegion] == p.region.Name {
			relay := client.ObjectKey{Namespace: set.Namespace, Name: set.Labels[v1alpha1.LabelInstance]}
			all = append(all, rollout.Underway{Relay: relay, Since: since})
		}
	}
	return all, nil
}
