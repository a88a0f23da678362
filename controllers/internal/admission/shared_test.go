package admission

import (
	"context"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/gatewayapi"
)

const routeYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: default}
spec:
  parentRefs: [{name: public, namespace: gateways}]
  hostnames: [shop.example.org]
  rules: [{backendRefs: [{name: shop, port: 443}]}]
`

const listenersYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: shop, namespace: default}
spec:
  parentRef: {name: public, namespace: gateways}
  listeners: [{name: shop, hostname: shop.example.org, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}]
`

// installRoutes makes the API server serve the Gateway API's kinds, and lets a tenant write them.
func installRoutes(t *testing.T) client.Client {
	t.Helper()
	definitions, err := gatewayapi.Definitions(t.Context(), "httproutes", "tlsroutes", "grpcroutes", "listenersets")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range definitions {
		if err := server.Client.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, d)
	}
	const user = "shops-admin"
	meta := metav1.ObjectMeta{Name: "test-" + user}
	for _, o := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"*"}}}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		},
	} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	return as(t, user, "system:authenticated")
}

// as is a client of a user's.
func as(t *testing.T, user, group string) client.Client {
	t.Helper()
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{group}}
	c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hosts names a route's hosts.
func hosts(names ...any) func(map[string]any) { return set("spec/hostnames", names) }

// kind makes a route one of another kind.
func kind(name string) func(map[string]any) { return set("kind", name) }

func testSharedHost(t *testing.T) {
	tenant := installRoutes(t)
	region := object(t, regionYAML, all(set("metadata/name", "doors"), set("spec/endpoint", map[string]any{
		"domain": "relays.example.org", "gatewayRef": map[string]any{"namespace": "gateways", "name": "public"},
		"shared": map[string]any{"host": "api.relays.example.org"},
	})))
	if err := server.Client.Create(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, region)
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return tenant.Create(t.Context(), object(t, routeYAML, hosts("api.relays.example.org")), client.DryRunAll) != nil &&
			tenant.Create(t.Context(), object(t, routeYAML, nil), client.DryRunAll) == nil, nil
	})
	if err != nil {
		t.Fatal("the policy is not enforced in time")
	}
	elsewhere := set("spec/parentRefs", []any{map[string]any{"name": "other", "namespace": "gateways"}})
	const named, other = "is the shared host of DataRegion doors", "would also serve api.relays.example.org"
	testRules(t, tenant, routeYAML, []rule{
		{"the host", none, hosts("shop.example.org", "api.relays.example.org"), named},
		{"the host at another gateway", elsewhere, all(elsewhere, hosts("api.relays.example.org")), named},
		{"the host without a gateway", set("spec/parentRefs", nil), all(set("spec/parentRefs", nil), hosts("api.relays.example.org")), named},
		{"the host in a TLSRoute", kind("TLSRoute"), all(kind("TLSRoute"), hosts("api.relays.example.org")), named},
		{"the host in a GRPCRoute", kind("GRPCRoute"), all(kind("GRPCRoute"), hosts("api.relays.example.org")), named},
		{"a wildcard", hosts("*.shop.example.org"), hosts("*.relays.example.org"), other},
		{"a wildcard further up", hosts("api.relays.example.org.shop.example"), hosts("*.org"), other},
		{"a wildcard in a TLSRoute", kind("TLSRoute"), all(kind("TLSRoute"), hosts("*.example.org")), other},
		{"a wildcard at another gateway, and here", all(elsewhere, hosts("*.example.org")), hosts("*.example.org"), other},
		{"no host", all(elsewhere, set("spec/hostnames", nil)), set("spec/hostnames", nil), other},
	})
	listener := func(name string) func(map[string]any) {
		return func(o map[string]any) {
			l := o["spec"].(map[string]any)["listeners"].([]any)[0].(map[string]any)
			l["hostname"] = name
			if name == "" {
				delete(l, "hostname")
			}
		}
	}
	testRules(t, tenant, listenersYAML, []rule{
		{"a listener with the host", none, listener("api.relays.example.org"), named},
		{"a listener with a wildcard", listener("*.shop.example.org"), listener("*.relays.example.org"), other},
		{"a listener without a host", none, listener(""), other},
	})
	t.Run("a cluster admin's redirect", func(t *testing.T) {
		if err := server.Client.Create(t.Context(), object(t, routeYAML, set("spec/hostnames", nil)), client.DryRunAll); err != nil {
			t.Error(err)
		}
	})
	testOperatorsRoute(t, tenant)
}

// testOperatorsRoute holds that the operator's route is its own: a tenant may delete it, and not change it.
func testOperatorsRoute(t *testing.T, tenant client.Client) {
	t.Helper()
	in := desired.Input{
		Relay: &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "acme", UID: "1"}},
		Region: &v1alpha1.DataRegion{Spec: v1alpha1.DataRegionSpec{Endpoint: v1alpha1.RegionEndpoint{
			Domain: "relays.example.org", GatewayRef: &v1alpha1.GatewayReference{Namespace: "gateways", Name: "public"},
			Shared: &v1alpha1.SharedHost{Host: "api.relays.example.org"},
		}}},
	}
	in.Relay.Spec.Endpoint.Shared = true
	operator := as(t, operatorUser, "system:masters")
	route := desired.SharedRoute(in, "100000000000001", "200000000000002")
	if err := operator.Create(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, route)
	change := func(edit func(map[string]any)) error {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(route.GroupVersionKind())
		if err := tenant.Get(t.Context(), client.ObjectKeyFromObject(route), live); err != nil {
			t.Fatal(err)
		}
		edit(live.Object)
		return tenant.Update(t.Context(), live, client.DryRunAll)
	}
	const named = "is the shared host of DataRegion doors"
	wantRefusal(t, change(set("spec/rules", []any{map[string]any{}})), named)
	wantRefusal(t, change(set("metadata/annotations", map[string]any{"gateway.example/snippet": "x"})), named)
	if err := change(set("metadata/ownerReferences", nil)); err != nil {
		t.Errorf("the cluster could not update owners: %v", err)
	}
	if err := tryDelete(t, tenant, route); err != nil {
		t.Errorf("a tenant cannot delete a route of its namespace: %v", err)
	}
}
