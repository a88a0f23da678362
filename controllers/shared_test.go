package controllers_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// sharer is a relay of a business account that asks for the shared host.
func (w *world) sharer(name, account string) *v1alpha1.BusinessRelay {
	relay := w.member(name, account)
	relay.Spec.Endpoint = v1alpha1.RelayEndpoint{TerminateAtGateway: true, Shared: true}
	return relay
}

// reports gives a relay the ids that its pod would report. Each world has its own: all relays of the API server count.
func (w *world) reports(relay *v1alpha1.BusinessRelay, number, account string) {
	w.t.Helper()
	fresh := w.reread(relay)
	fresh.Status.Endpoint.PhoneNumberID, fresh.Status.Endpoint.BusinessAccountID = number, account
	if err := server.Client.Status().Update(w.t.Context(), fresh); err != nil {
		w.t.Fatal(err)
	}
}

// sharedRoute is a relay's route at the shared host; nil if there is none.
func (w *world) sharedRoute(relay *v1alpha1.BusinessRelay) *unstructured.Unstructured {
	w.t.Helper()
	route := w.route("HTTPRoute")
	if !w.get(relay.Name+"-shared", route) {
		return nil
	}
	return route
}

// paths are those that a route matches.
func paths(t *testing.T, route *unstructured.Unstructured) (all []string) {
	t.Helper()
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	for _, rule := range rules {
		for _, match := range rule.(map[string]any)["matches"].([]any) {
			kind, _, _ := unstructured.NestedString(match.(map[string]any), "path", "type")
			value, _, _ := unstructured.NestedString(match.(map[string]any), "path", "value")
			if kind != "PathPrefix" {
				t.Errorf("a match by %s", kind)
			}
			all = append(all, value)
		}
	}
	return all
}

// says has the gateway write into a route's status.
func (w *world) says(route *unstructured.Unstructured, generation int64, conditions map[string]metav1.ConditionStatus) {
	w.t.Helper()
	var all []any
	for kind, status := range conditions {
		all = append(all, map[string]any{
			"type": kind, "status": string(status), "reason": "Because", "message": "m", "observedGeneration": generation,
			"lastTransitionTime": "2026-01-01T00:00:00Z",
		})
	}
	route.Object["status"] = map[string]any{"parents": []any{map[string]any{
		"controllerName": "example.org/gateway", "conditions": all,
		"parentRef": map[string]any{"namespace": "gateways", "name": "public", "sectionName": "https"},
	}}}
	if err := server.Client.Status().Update(w.t.Context(), route); err != nil {
		w.t.Fatal(err)
	}
}

// testShared needs the Gateway API.
func (w *world) testShared() {
	w.updateRegion(func(r *v1alpha1.DataRegion) {
		r.Spec.Endpoint = v1alpha1.RegionEndpoint{
			Domain: "relays.example", GatewayRef: &v1alpha1.GatewayReference{Namespace: "gateways", Name: "public", SectionName: "tls"},
		}
	})
	acme, globex := w.sharer("acme", ""), w.sharer("globex", "")
	w.create(acme)
	w.pass(acme)
	w.want(acme, v1alpha1.ConditionSharedHost, metav1.ConditionFalse, v1alpha1.ReasonNoSharedHost)
	w.want(acme, v1alpha1.ConditionEndToEndTLS, metav1.ConditionFalse, v1alpha1.ReasonEndsAtGateway)

	w.updateRegion(func(r *v1alpha1.DataRegion) {
		r.Spec.Endpoint.Shared = &v1alpha1.SharedHost{Host: "api.relays.example", SectionName: "https"}
	})
	w.pass(acme)
	w.want(acme, v1alpha1.ConditionSharedHost, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingNumberID)

	number, account := "31"+w.number()[2:], "41"+w.number()[2:]
	w.reports(acme, number, account)
	w.pass(acme)
	w.want(acme, v1alpha1.ConditionSharedHost, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingGateway)
	w.quiet(acme)
	if url := w.reread(acme).Status.Endpoint.SharedURL; url != "https://api.relays.example" {
		w.t.Errorf("the shared URL is %q", url)
	}
	route := w.sharedRoute(acme)
	if route == nil {
		w.t.Fatal("there is no route")
	}
	got := paths(w.t, route)
	for _, want := range []string{"/" + number, "/v13.0/" + number, "/v30.0/" + number, "/" + account, "/v23.0/" + account} {
		if !slices.Contains(got, want) {
			w.t.Errorf("no match for %s", want)
		}
	}
	for _, path := range got {
		if !strings.HasSuffix(path, "/"+number) && !strings.HasSuffix(path, "/"+account) {
			w.t.Errorf("a match for %s", path)
		}
	}

	w.testGatewaysWord(acme, route)
	w.testRivals(acme, globex, number, account)

	w.update(acme, func(r *v1alpha1.BusinessRelay) { r.Spec.Endpoint.Shared = false })
	w.restart()
	w.pass(acme)
	w.absent(acme, v1alpha1.ConditionSharedHost)
	if w.sharedRoute(acme) != nil || w.reread(acme).Status.Endpoint.SharedURL != "" {
		w.t.Error("the route stays once nobody wants it")
	}
	w.quiet(acme)
	w.testAccountsRelays()
	w.testBothAtOnce()
}

func (w *world) testGatewaysWord(acme *v1alpha1.BusinessRelay, route *unstructured.Unstructured) {
	w.t.Helper()
	type conditions = map[string]metav1.ConditionStatus
	for _, tt := range []struct {
		said   conditions
		behind int64
		status metav1.ConditionStatus
		reason string
	}{
		{conditions{"Accepted": metav1.ConditionTrue, "ResolvedRefs": metav1.ConditionTrue}, 1, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingGateway},
		{conditions{"Accepted": metav1.ConditionTrue}, 0, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingGateway},
		{conditions{"Accepted": metav1.ConditionTrue, "ResolvedRefs": metav1.ConditionTrue}, 0, metav1.ConditionTrue, v1alpha1.ReasonRouted},
		{conditions{"Accepted": metav1.ConditionTrue, "ResolvedRefs": metav1.ConditionTrue, "PartiallyInvalid": metav1.ConditionTrue}, 0, metav1.ConditionFalse, v1alpha1.ReasonRouteRefused},
		{conditions{"Accepted": metav1.ConditionFalse, "ResolvedRefs": metav1.ConditionTrue}, 0, metav1.ConditionFalse, v1alpha1.ReasonRouteRefused},
		{conditions{"Accepted": metav1.ConditionTrue, "ResolvedRefs": metav1.ConditionTrue}, 0, metav1.ConditionTrue, v1alpha1.ReasonRouted},
	} {
		w.says(route, route.GetGeneration()-tt.behind, tt.said)
		w.pass(acme)
		w.want(acme, v1alpha1.ConditionSharedHost, tt.status, tt.reason)
	}
	w.quiet(acme)
}

// testRivals has globex report acme's ids, as a pod could that globex has changed.
func (w *world) testRivals(acme, globex *v1alpha1.BusinessRelay, number, account string) {
	w.t.Helper()
	w.create(globex)
	w.pass(globex)
	for _, ids := range [][2]string{{number, "77"}, {"77", account}, {account, "77"}} {
		w.reports(globex, ids[0], ids[1])
		w.pass(globex) // not even until the next pass
		w.want(globex, v1alpha1.ConditionSharedHost, metav1.ConditionFalse, v1alpha1.ReasonIDTaken)
		if w.sharedRoute(globex) != nil {
			w.t.Errorf("globex has a route for %v", ids)
		}
		w.pass(acme)
		w.want(acme, v1alpha1.ConditionSharedHost, metav1.ConditionTrue, v1alpha1.ReasonRouted) // who has it keeps it
	}
	w.reports(globex, "51"+w.number()[2:], "61"+w.number()[2:])
	w.pass(globex)
	w.pass(globex)
	if w.sharedRoute(globex) == nil {
		w.t.Error("globex has no route for ids of its own")
	}
	// A relay with a route that reports other ids begins anew.
	w.status.set(func() *contract.Status {
		s := w.healthy()
		s.PhoneNumberID, s.BusinessAccountID = number, "88"
		return s
	}())
	w.startPod(globex)
	w.eventually(globex, "globex keeps a route that it had for other ids", func(r *v1alpha1.BusinessRelay) bool {
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionSharedHost)
		return c.Reason == v1alpha1.ReasonIDTaken && r.Status.Endpoint.SharedURL == "" && w.sharedRoute(r) == nil
	})
	w.status.set(nil)
	w.delete(globex)
}

// testAccountsRelays has two relays of one account, whose paths lead to the older route.
func (w *world) testAccountsRelays() {
	w.t.Helper()
	one, two := w.sharer("one", "shop"), w.sharer("other", "shop")
	for i, relay := range []*v1alpha1.BusinessRelay{one, two} {
		w.create(relay)
		w.pass(relay)
		w.reports(relay, string(rune('1'+i))+"9"+w.number()[2:], "12345") // as if the account were another
		w.pass(relay)
		w.want(relay, v1alpha1.ConditionSharedHost, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingNumberID)
		w.reports(relay, string(rune('1'+i))+"9"+w.number()[2:], contract.BusinessAccountID(w.name, "shop"))
		w.pass(relay)
		w.pass(relay)
		if w.sharedRoute(relay) == nil {
			w.t.Errorf("%s has no route", relay.Name)
		}
	}
}

// testBothAtOnce has two relays with a route for the same ids, as two passes at the same time could make them.
func (w *world) testBothAtOnce() {
	w.t.Helper()
	both := []*v1alpha1.BusinessRelay{w.sharer("p", ""), w.sharer("qq", "")}
	for _, relay := range both {
		w.create(relay)
		w.pass(relay)
		w.reports(relay, "71"+w.number()[2:], "81"+w.number()[2:])
		fresh := w.reread(relay)
		fresh.Status.Endpoint.SharedURL = "https://api.relays.example"
		if err := server.Client.Status().Update(w.t.Context(), fresh); err != nil {
			w.t.Fatal(err)
		}
	}
	kept := 0
	for _, relay := range both {
		w.pass(relay)
	}
	for _, relay := range both {
		w.pass(relay)
		if w.sharedRoute(relay) != nil {
			kept++
		}
	}
	if kept != 1 {
		w.t.Errorf("%d relays have a route for the same ids", kept)
	}
}
