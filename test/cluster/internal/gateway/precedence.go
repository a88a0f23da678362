package gateway

import (
	"cmp"
	"strings"
)

// entry is one match of one rule at one host name of one listener.
type entry struct {
	host    string // a pattern; empty for all
	match   Match
	route   Meta
	rule    int // its place in the route
	backend string
}

// Types of path matches.
const (
	pathExact  = "Exact"
	pathPrefix = "PathPrefix"
)

// precedes orders entries as the Gateway API says: HTTPRouteSpec.Hostnames first, then HTTPRouteRule.Matches, then the
// older route, the alphabet, and the order of rules.
func precedes(a, b entry) int {
	return cmp.Or(
		moreSpecific(a.host, b.host),
		comparePaths(a.match.path(), b.match.path()),
		strings.Compare(present(b.match.Method), present(a.match.Method)),
		len(b.match.Headers)-len(a.match.Headers),
		len(b.match.QueryParams)-len(a.match.QueryParams),
		a.route.Created.Compare(b.route.Created),
		strings.Compare(a.route.key().String(), b.route.key().String()),
		a.rule-b.rule,
	)
}

// path is the match's path; without one it is every path.
func (m Match) path() Value {
	if m.Path == nil {
		return Value{Type: pathPrefix, Value: "/"}
	}
	return *m.Path
}

// comparePaths puts an exact path first, then the longer prefix.
func comparePaths(a, b Value) int {
	if a.Type != b.Type {
		return strings.Compare(a.Type, b.Type) // "Exact" < "PathPrefix"
	}
	return len(strings.TrimSuffix(b.Value, "/")) - len(strings.TrimSuffix(a.Value, "/"))
}

func present(s string) string {
	if s != "" {
		return "yes"
	}
	return ""
}
