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
	"github.com/relaykeep/relaykeep/test/gatewayapi"
)

// gatewayVersion is the version of the routes' kinds that these tests serve.
const gatewayVersion = "v1"

// serveRoutes makes the API server serve kinds of routes, as the Gateway API defines them.
func (w *world) serveRoutes(kinds ...string) {
	w.t.Helper()
	onServer(w.t)
	plurals := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		plurals = append(plurals, strings.ToLower(kind)+"s")
	}
	definitions, err := gatewayapi.Definitions(w.t.Context(), plurals...)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, kind := range kinds {
		w.create(definitions[i])
		if !w.within(func() bool {
			_, err := server.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: kind}, gatewayVersion)
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(w.route(kind).GroupVersionKind())
			return err == nil && server.Client.List(w.t.Context(), list) == nil
		}) {
			w.t.Fatalf("%s is not served in time", kind)
		}
	}
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

	w.serveRoutes("TLSRoute", "HTTPRoute")
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
	if err := unstructured.SetNestedStringSlice(route.Object, []string{"other.example"}, "spec", "hostnames"); err != nil {
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
	foreign.Object["spec"] = map[string]any{
		"hostnames": []any{"other.example"}, "rules": []any{map[string]any{"backendRefs": []any{map[string]any{"name": "other", "port": int64(443)}}}},
	}
	w.create(foreign)
	w.restart()
	w.pass(relay)
	w.wantRoutes(relay, "TLSRoute") // it is somebody else's

	t.Run("at the shared host", func(t *testing.T) { newWorld(t).testShared() })
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
