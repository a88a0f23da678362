package desired

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// GatewayGroup is the API group of the Gateway API.
const GatewayGroup = "gateway.networking.k8s.io"

// RouteVersion is the version of all routes, in which the Gateway API's standard channel has both
// kinds since 1.5.
const RouteVersion = "v1"

// Kinds of routes.
const (
	routeTLS  = "TLSRoute"
	routeHTTP = "HTTPRoute"
)

// RouteKinds are all kinds of routes that a relay may have; it has one at a time.
func RouteKinds() []schema.GroupKind {
	return []schema.GroupKind{{Group: GatewayGroup, Kind: routeTLS}, {Group: GatewayGroup, Kind: routeHTTP}}
}

// RouteKind is the kind of route from the region's gateway to the relay: one that
// passes TLS through, or, if the business lets the gateway terminate TLS, one for HTTP.
func RouteKind(in Input) schema.GroupKind {
	if in.Relay.Spec.Endpoint.TerminateAtGateway {
		return schema.GroupKind{Group: GatewayGroup, Kind: routeHTTP}
	}
	return schema.GroupKind{Group: GatewayGroup, Kind: routeTLS}
}

// Route is the route from the region's gateway to the relay, by the relay's host name.
// It is only for regions with a gateway.
func Route(in Input) *unstructured.Unstructured {
	rule := in.routeRule()
	if RouteKind(in).Kind == routeHTTP {
		rule["matches"] = []any{pathPrefix("/")}
	}
	gateway := in.Region.Spec.Endpoint.GatewayRef
	return in.route(RouteKind(in), in.tenant(), parent(gateway, gateway.SectionName), Host(in.Relay, in.Region), rule)
}

// parent refers to the region's gateway, or one listener of it. The Gateway API's defaults are
// written out, here and below: what the API server adds would count as a difference.
func parent(gateway *v1alpha1.GatewayReference, section v1alpha1.ObjectName) map[string]any {
	p := map[string]any{
		"group":     GatewayGroup,
		"kind":      "Gateway",
		"namespace": string(gateway.Namespace),
		"name":      string(gateway.Name),
	}
	if section != "" {
		p["sectionName"] = string(section)
	}
	return p
}

func (in Input) route(kind schema.GroupKind, name string, parent map[string]any, host string, rules ...any) *unstructured.Unstructured {
	labels := map[string]any{}
	for k, v := range in.labels(v1alpha1.ComponentRelay) {
		labels[k] = v
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": GatewayGroup + "/" + RouteVersion,
		"kind":       kind.Kind,
		"metadata": map[string]any{
			"name":      name,
			"namespace": in.Relay.Namespace,
			"labels":    labels,
			"ownerReferences": []any{map[string]any{
				"apiVersion":         v1alpha1.GroupVersion.String(),
				"kind":               v1alpha1.KindBusinessRelay,
				"name":               in.Relay.Name,
				"uid":                string(in.Relay.UID),
				"controller":         true,
				"blockOwnerDeletion": true,
			}},
		},
		"spec": map[string]any{
			"parentRefs": []any{parent},
			"hostnames":  []any{host},
			"rules":      rules,
		},
	}}
}

// routeRule sends to the relay's Service.
func (in Input) routeRule() map[string]any {
	return map[string]any{
		"backendRefs": []any{map[string]any{
			"group": "", "kind": "Service", "name": in.tenant(),
			"port": int64(HTTPSPort), "weight": int64(1),
		}},
	}
}

// pathPrefix matches a path and all below it, by whole segments.
func pathPrefix(path string) map[string]any {
	return map[string]any{"path": map[string]any{"type": "PathPrefix", "value": path}}
}
