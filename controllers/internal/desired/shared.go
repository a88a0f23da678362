package desired

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// The API versions with which a path at the shared host may begin. A path without one works as
// well. With two ids that makes 38 matches; a rule may have 64, and all rules of a route 128.
const (
	firstSharedVersion = 13
	lastSharedVersion  = 30
)

// SharedKind is the kind of the route at the shared host.
func SharedKind() schema.GroupKind { return schema.GroupKind{Group: GatewayGroup, Kind: routeHTTP} }

// SharedName is the name of the route at the shared host.
func SharedName(relay *v1alpha1.BusinessRelay) string { return relay.Name + v1alpha1.SuffixShared }

// SharedHost is the host name that the relay has in common with others, empty for none.
func SharedHost(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) string {
	e := region.Spec.Endpoint
	if !relay.Spec.Endpoint.Shared || e.GatewayRef == nil || e.Shared == nil {
		return ""
	}
	return string(e.Shared.Host)
}

// SharedRoute is the relay's route at the region's shared host, for paths that begin with one of its
// ids. It is only for relays with such a host. No rule needs a regular expression, which gateways may
// lack: a file's id begins with the number's as a segment of its own.
func SharedRoute(in Input, ids ...string) *unstructured.Unstructured {
	rules := make([]any, 0, len(ids))
	for _, id := range ids {
		rule := in.routeRule()
		rule["matches"] = sharedMatches(id)
		rules = append(rules, rule)
	}
	e := in.Region.Spec.Endpoint
	return in.route(SharedKind(), SharedName(in.Relay), parent(e.GatewayRef, e.Shared.SectionName), SharedHost(in.Relay, in.Region), rules...)
}

func sharedMatches(id string) []any {
	matches := []any{pathPrefix("/" + id)}
	for v := firstSharedVersion; v <= lastSharedVersion; v++ {
		matches = append(matches, pathPrefix(fmt.Sprintf("/v%d.0/%s", v, id)))
	}
	return matches
}
