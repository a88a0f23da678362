package desired

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// GatewayGroup is the API group of the Gateway API.
const GatewayGroup = "gateway.networking.k8s.io"

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
// It is only for regions with a gateway. The version is the one that the cluster
// serves.
func Route(in Input, version string) *unstructured.Unstructured {
	gateway := in.Region.Spec.Endpoint.GatewayRef
	parent := map[string]any{
		"group":     GatewayGroup,
		"kind":      "Gateway",
		"namespace": string(gateway.Namespace),
		"name":      string(gateway.Name),
	}
	if gateway.SectionName != "" {
		parent["sectionName"] = string(gateway.SectionName)
	}
	labels := map[string]any{}
	for k, v := range in.labels(v1alpha1.ComponentRelay) {
		labels[k] = v
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": GatewayGroup + "/" + version,
		"kind":       RouteKind(in).Kind,
		"metadata": map[string]any{
			"name":      in.tenant(),
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
			"hostnames":  []any{Host(in.Relay, in.Region)},
			"rules":      []any{in.routeRule()},
		},
	}}
}

// routeRule sends every request to the relay. The Gateway API's defaults are written
// out: what the API server adds would count as a difference.
func (in Input) routeRule() map[string]any {
	rule := map[string]any{
		"backendRefs": []any{map[string]any{
			"group": "", "kind": "Service", "name": in.tenant(),
			"port": int64(HTTPSPort), "weight": int64(1),
		}},
	}
	if RouteKind(in).Kind == routeHTTP {
		rule["matches"] = []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}}
	}
	return rule
}
