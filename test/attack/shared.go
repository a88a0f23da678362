package attack

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/test/lab"
)

// sharedYAML is a region with a shared host, in which nothing runs, and the right to write routes in acme's namespace.
const sharedYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: DataRegion
metadata: {name: shared-%[1]s, annotations: {relaykeep.dev/abandon-keys: "true"}}
spec:
  type: EU
  storageClassName: relaykeep-eu
  vault: {address: "https://vault.attack.test:8200"}
  carrier: {xmpp: {domain: attack.test}}
  endpoint:
    domain: relays-%[1]s.test
    gatewayRef: {namespace: gateways, name: public-%[1]s}
    shared: {host: api.relays-%[1]s.test}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: attack-routes, namespace: acme}
rules: [{apiGroups: [gateway.networking.k8s.io], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: attack-routes, namespace: acme}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: attack-routes}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: acme-admin}]
`

// makeSharedHost makes a region with a shared host, until Close.
func (s *Scene) makeSharedHost(ctx context.Context) error {
	if err := s.lab.DefineRoutes(ctx); err != nil {
		return err
	}
	text := fmt.Sprintf(sharedYAML, s.mark)
	s.undo = append(s.undo, func(ctx context.Context) error { return s.lab.Remove(ctx, text) })
	if _, err := s.lab.Apply(ctx, text); err != nil {
		return fmt.Errorf("preparing a shared host: %w", err)
	}
	// The policies learn of a region a moment later.
	return lab.Poll(ctx, func(ctx context.Context) error {
		if err := routed("HTTPRoute", `api.relays-%s.test`)(ctx, s); err == nil || !byPolicy(err) {
			return fmt.Errorf("no policy knows of the shared host yet: %w", err)
		}
		return nil
	})
}

// routed has acme's admin write a route of a kind at a host to globex's path, not really. It is attached to the region's
// gateway. The host may have the scene's mark in it; without one, the route names none.
func routed(kind, host string) act {
	return func(ctx context.Context, s *Scene) error {
		match := ""
		if kind == "HTTPRoute" {
			match = "matches: [{path: {type: PathPrefix, value: /v23.0/555555555555555}}], "
		}
		names := ""
		if host != "" {
			names = fmt.Sprintf("hostnames: [%q], ", fmt.Sprintf(host, s.mark))
		}
		return s.write(ctx, fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: %s, metadata: {name: attack, namespace: acme}, spec: {
			parentRefs: [{name: public-%s, namespace: gateways}], %s rules: [{%s backendRefs: [{name: acme-relay, port: 443}]}]}}`, kind, s.mark, names, match))
	}
}

// listening has acme's admin add a listener with a host to the region's gateway, not really.
func listening(host string) act {
	return func(ctx context.Context, s *Scene) error {
		return s.write(ctx, fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: attack, namespace: acme}, spec: {
			parentRef: {name: public-%s, namespace: gateways},
			listeners: [{name: a, hostname: %q, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: attack}]}}]}}`, s.mark, fmt.Sprintf(host, s.mark)))
	}
}

func (s *Scene) write(ctx context.Context, manifest string) error {
	c, err := s.as(acmeAdmin)
	if err != nil {
		return err
	}
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		return err
	}
	return c.Create(ctx, o, client.DryRunAll)
}

// atTheSharedHost are attempts of acme's admin, who may write routes in acme's namespace, to get what globex's software
// sends to the region's shared host: globex's access token is in each request.
func atTheSharedHost() []Attempt {
	const (
		who    = "acme's admin, who may write routes,"
		policy = "the admission policy relaykeep-shared-host"
		shared = "api.relays-%s.test"
		own    = "shop.acme-%s.test"
		owner  = "acme's admin, a host of acme's own"
	)
	return []Attempt{
		{who, "routes globex's path at the shared host to acme", policy, owner, routed("HTTPRoute", shared), routed("HTTPRoute", own), byPolicy},
		{who, "takes all that a wildcard has of the shared host", policy, "acme's admin, a wildcard below a name of acme's own", routed("HTTPRoute", "*.relays-%s.test"), routed("HTTPRoute", "*.acme-%s.test"), byPolicy},
		{who, "takes all of the gateway's hosts by naming none", policy, owner, routed("HTTPRoute", ""), routed("HTTPRoute", own), byPolicy},
		{who, "has TLS at the shared host passed on to acme", policy, owner, routed("TLSRoute", shared), routed("TLSRoute", own), byPolicy},
		{who, "adds a listener for the shared host, with acme's certificate", policy, owner, listening(shared), listening(own), byPolicy},
	}
}
