package controllers_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

// gatewayVersion is the version of the routes' kinds that these tests serve.
const gatewayVersion = "v1"

// serveRoutes makes the API server serve a kind of route, as the Gateway API does.
func (w *world) serveRoutes(kind string) {
	w.t.Helper()
	onServer(w.t)
	plural := strings.ToLower(kind) + "s"
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{
			"name":        plural + ".gateway.networking.k8s.io",
			"annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, for a test"},
		},
		"spec": map[string]any{
			"group": "gateway.networking.k8s.io", "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "plural": plural},
			"versions": []any{map[string]any{
				"name": gatewayVersion, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": routeSchema(kind)},
			}},
		},
	}}
	w.create(definition)
	if !w.within(func() bool {
		_, err := server.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: kind}, gatewayVersion)
		probe := w.route(kind)
		probe.SetName("probe")
		return err == nil && server.Client.Create(w.t.Context(), probe) == nil
	}) {
		w.t.Fatalf("%s is not served in time", kind)
	}
}

// routeSchema leaves a route as it is, but for the default that the Gateway API has
// for an HTTPRoute's rules.
func routeSchema(kind string) map[string]any {
	open := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": properties}
	}
	rule := map[string]any{}
	if kind == "HTTPRoute" {
		everything := map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}
		rule["matches"] = map[string]any{"type": "array", "items": open(nil), "default": []any{everything}}
	}
	return open(map[string]any{"spec": open(map[string]any{
		"rules": map[string]any{"type": "array", "items": open(rule)},
	})})
}

func (w *world) route(kind string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: gatewayVersion, Kind: kind})
	u.SetNamespace(w.name)
	return u
}

// wantRoutes checks which kinds of routes a relay has.
func (w *world) wantRoutes(relay *v1alpha1.BusinessRelay, want string) {
	w.t.Helper()
	var got []string
	for _, kind := range []string{"HTTPRoute", "TLSRoute"} {
		if w.get(v1alpha1.TenantName(relay.Name), w.route(kind)) {
			got = append(got, kind)
		}
	}
	if strings.Join(got, " ") != want {
		w.t.Errorf("the relay's routes are %q, want %q", got, want)
	}
}

// updateRegion changes the world's region as an admin would.
func (w *world) updateRegion(edit func(*v1alpha1.DataRegion)) {
	w.t.Helper()
	region := &v1alpha1.DataRegion{}
	region.Name = w.name
	if err := server.Client.Get(w.t.Context(), client.ObjectKeyFromObject(region), region); err != nil {
		w.t.Fatal(err)
	}
	edit(region)
	if err := server.Client.Update(w.t.Context(), region); err != nil {
		w.t.Fatal(err)
	}
}

func TestRoute_IsTheOneThatIsWantedNow(t *testing.T) {
	w := newWorld(t)
	w.updateRegion(func(r *v1alpha1.DataRegion) {
		r.Spec.Endpoint = v1alpha1.RegionEndpoint{
			Domain: "relays.example", GatewayRef: &v1alpha1.GatewayReference{Namespace: "gateways", Name: "public"},
		}
	})
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGatewayAPIMissing)

	w.serveRoutes("TLSRoute")
	w.serveRoutes("HTTPRoute")
	w.pass(relay)
	w.wantRoutes(relay, "TLSRoute")

	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Endpoint.TerminateAtGateway = true })
	w.pass(relay)
	w.wantRoutes(relay, "HTTPRoute")
	w.want(relay, v1alpha1.ConditionEndToEndTLS, metav1.ConditionFalse, v1alpha1.ReasonEndsAtGateway)
	w.quiet(relay)

	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Endpoint.TerminateAtGateway = false })
	w.pass(relay)
	w.wantRoutes(relay, "TLSRoute")
	w.quiet(relay)

	route := w.route("TLSRoute")
	if !w.get(v1alpha1.TenantName(relay.Name), route) {
		t.Fatal("there is no route")
	}
	if err := unstructured.SetNestedStringSlice(route.Object, []string{"other.example"}, "spec", "more"); err != nil {
		t.Fatal(err)
	}
	w.change(route)
	w.told()
	w.pass(relay)
	w.wantTold("Warning " + v1alpha1.ReasonChildChanged)
	w.quiet(relay)

	// The wish may change while no operator runs.
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Endpoint.GatewayRef = nil })
	w.restart()
	w.pass(relay)
	w.wantRoutes(relay, "")

	foreign := w.route("TLSRoute")
	foreign.SetName(v1alpha1.TenantName(relay.Name))
	w.create(foreign)
	w.restart()
	w.pass(relay)
	w.wantRoutes(relay, "TLSRoute") // it is somebody else's
}

// quiet checks that another pass writes nothing.
func (w *world) quiet(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	w.written()
	w.pass(relay)
	if writes := w.written(); len(writes) > 0 {
		w.t.Errorf("a pass with nothing to do wrote: %v", writes)
	}
}

// restart makes the operator forget what it only has in memory.
func (w *world) restart() {
	was := w.relays
	w.relays = &controllers.BusinessRelayReconciler{
		Client: was.Client, Live: was.Live, Mapper: was.Mapper, Events: was.Events, Poller: was.Poller,
		RelayImage: was.RelayImage, OperatorNamespace: was.OperatorNamespace, Now: was.Now,
	}
}
