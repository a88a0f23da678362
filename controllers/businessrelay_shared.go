package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

// A gateway is asked every gatewayAsked what it makes of a route, until it was silent for gatewaySilent.
const (
	gatewayAsked  = 5 * time.Second
	gatewaySilent = time.Minute
)

// applyShared routes the paths of the relay's ids at the region's shared host to the relay, if it asks for that
// and nobody else has the ids. It never fails a pass: the relay's own name works without it.
func (p *pass) applyShared(ctx context.Context) error {
	was := meta.FindStatusCondition(p.relay.Status.Conditions, v1alpha1.ConditionSharedHost)
	if !p.relay.Spec.Endpoint.Shared {
		if was == nil {
			return nil
		}
		return p.endShared(ctx, "", "", "")
	}
	if desired.SharedHost(p.relay, p.region) == "" {
		return p.endShared(ctx, metav1.ConditionFalse, v1alpha1.ReasonNoSharedHost,
			"endpoint.shared is set, but the DataRegion has no endpoint.shared: ask a cluster admin for one, or use the relay's own address")
	}
	ids, ok := sharedIDs(p.relay, p.status.Endpoint)
	if !ok {
		return p.endShared(ctx, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingNumberID, "the relay has not reported its number's and account's ids yet")
	}
	rival, err := p.rival(ctx, ids)
	if err != nil {
		return err
	}
	if rival != nil {
		p.lookAgain(outcome.Recheck)
		return p.endShared(ctx, metav1.ConditionFalse, v1alpha1.ReasonIDTaken,
			"another BusinessRelay reports an id of this one: the shared host cannot tell them apart; a cluster admin finds it by status.endpoint of all BusinessRelays")
	}
	// The condition is the record that there may be a route to remove: it is written first.
	if was == nil {
		p.marks.Mark(v1alpha1.ConditionSharedHost, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingGateway, "the route is being made")
		p.lookAgain(time.Second)
		return nil
	}
	live, err := p.routeApplier().Apply(ctx, p.relay, apply.Untyped(desired.SharedRoute(p.in, ids...)))
	if err != nil {
		return err
	}
	p.status.Endpoint.SharedURL = "https://" + desired.SharedHost(p.relay, p.region)
	p.judgeShared(live, was)
	return nil
}

// endShared removes the route at the shared host and says why, or nothing at all if nobody asks for it.
func (p *pass) endShared(ctx context.Context, status metav1.ConditionStatus, reason, message string) error {
	if meta.FindStatusCondition(p.relay.Status.Conditions, v1alpha1.ConditionSharedHost) != nil {
		if err := p.removeRoute(ctx, desired.SharedKind(), desired.SharedName(p.relay)); err != nil {
			return err
		}
	}
	p.status.Endpoint.SharedURL = ""
	if reason == "" {
		p.marks.Remove(v1alpha1.ConditionSharedHost)
		return nil
	}
	p.marks.Mark(v1alpha1.ConditionSharedHost, status, reason, message)
	return nil
}

// sharedIDs are the ids in a relay's paths; none until it has reported both. The id of an account that the spec
// names is not up to the relay.
func sharedIDs(relay *v1alpha1.BusinessRelay, reported v1alpha1.EndpointStatus) (ids []string, ok bool) {
	number, account := reported.PhoneNumberID, reported.BusinessAccountID
	if number == "" || account == "" || number == account {
		return nil, false
	}
	if name := relay.Spec.BusinessAccount; name != "" && account != contract.BusinessAccountID(relay.Namespace, name) {
		return nil, false
	}
	return []string{number, account}, true
}

// rival finds another relay that says it has one of the ids. A relay's pod reports its ids, and it belongs to a
// tenant: one that reports a neighbour's must not get the neighbour's requests. Who has a route keeps it.
func (p *pass) rival(ctx context.Context, ids []string) (*v1alpha1.BusinessRelay, error) {
	list := &v1alpha1.BusinessRelayList{}
	if err := p.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("looking for relays with the same ids: %w", err)
	}
	for i := range list.Items {
		if o := &list.Items[i]; p.contests(o, ids) {
			return o, nil
		}
	}
	return nil, nil
}

// contests says whether another relay stands in the way of this one's route for the ids.
func (p *pass) contests(o *v1alpha1.BusinessRelay, ids []string) bool {
	if o.Namespace == p.relay.Namespace && o.Name == p.relay.Name {
		return false
	}
	theirs := []string{o.Status.Endpoint.PhoneNumberID}
	if account := p.relay.Spec.BusinessAccount; account == "" || o.Namespace != p.relay.Namespace || o.Spec.BusinessAccount != account {
		theirs = append(theirs, o.Status.Endpoint.BusinessAccountID)
	}
	if !slices.ContainsFunc(theirs, func(id string) bool { return id != "" && slices.Contains(ids, id) }) {
		return false
	}
	mine, other := p.status.Endpoint.SharedURL != "", o.Status.Endpoint.SharedURL != ""
	if mine && other { // both were made at once: the older keeps its route
		if !o.CreationTimestamp.Equal(&p.relay.CreationTimestamp) {
			return o.CreationTimestamp.Before(&p.relay.CreationTimestamp)
		}
		return o.UID < p.relay.UID
	}
	return !mine
}

// learnIDs copies the ids that a relay reports. With new ones it has no claim to the shared host: the next pass looks
// whether another relay has them.
func (p *pass) learnIDs(s *contract.Status) {
	e := &p.status.Endpoint
	number := matching(numberIDPattern, s.PhoneNumberID, e.PhoneNumberID)
	account := matching(numberIDPattern, s.BusinessAccountID, e.BusinessAccountID)
	if number == e.PhoneNumberID && account == e.BusinessAccountID {
		return
	}
	e.PhoneNumberID, e.BusinessAccountID, e.SharedURL = number, account, ""
	if p.relay.Spec.Endpoint.Shared {
		p.lookAgain(time.Second)
	}
}

// judgeShared marks what the gateway says about a route, as it was before the pass.
func (p *pass) judgeShared(live client.Object, was *metav1.Condition) {
	accepted, complaint := gatewaySays(live, p.region.Spec.Endpoint.GatewayRef)
	switch {
	case complaint != "":
		p.marks.Mark(v1alpha1.ConditionSharedHost, metav1.ConditionFalse, v1alpha1.ReasonRouteRefused,
			"the gateway does not take the route: "+complaint+": see kubectl describe httproute "+desired.SharedName(p.relay))
	case accepted:
		p.marks.Mark(v1alpha1.ConditionSharedHost, metav1.ConditionTrue, v1alpha1.ReasonRouted, "the shared host leads to the relay")
		return
	default:
		p.marks.Mark(v1alpha1.ConditionSharedHost, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingGateway, "the gateway has not said yet whether it takes the route")
	}
	again := outcome.Recheck
	if was.Status == metav1.ConditionUnknown && p.Now().Sub(was.LastTransitionTime.Time) < gatewaySilent {
		again = gatewayAsked
	}
	p.lookAgain(again)
}

// gatewaySays reads what a gateway wrote into a route's status about its current generation: whether it takes the route, or
// why it does not.
func gatewaySays(live client.Object, gateway *v1alpha1.GatewayReference) (accepted bool, complaint string) {
	u, ok := live.(*unstructured.Unstructured)
	if !ok || u == nil {
		return false, ""
	}
	var status struct {
		Parents []struct {
			ParentRef struct {
				Namespace string `json:"namespace"`
				Name      string `json:"name"`
			} `json:"parentRef"`
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"parents"`
	}
	said, _, err := unstructured.NestedMap(u.Object, "status")
	if err != nil || runtime.DefaultUnstructuredConverter.FromUnstructured(said, &status) != nil {
		return false, ""
	}
	for _, parent := range status.Parents {
		if parent.ParentRef.Name != string(gateway.Name) || parent.ParentRef.Namespace != string(gateway.Namespace) {
			continue
		}
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			c := meta.FindStatusCondition(parent.Conditions, kind)
			switch {
			case c == nil || c.ObservedGeneration < u.GetGeneration() || c.Status == metav1.ConditionUnknown:
				return false, ""
			case c.Status == metav1.ConditionFalse:
				return false, kind + " is False (" + matching(reasonPattern, c.Reason, "no reason") + ")"
			}
			accepted = true
		}
		if c := meta.FindStatusCondition(parent.Conditions, "PartiallyInvalid"); c != nil && c.Status == metav1.ConditionTrue {
			return false, "PartiallyInvalid is True (" + matching(reasonPattern, c.Reason, "no reason") + ")"
		}
		return accepted, ""
	}
	return false, ""
}
