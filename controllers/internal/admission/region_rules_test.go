package admission

import (
	"strings"
	"testing"
)

func TestDataRegionIsRefusedAtCreationWithASentenceThatSaysWhatToDo(t *testing.T) {
	peer := map[string]any{"ipBlock": map[string]any{"cidr": "192.0.2.1/32"}}
	pods := map[string]any{"podSelector": map[string]any{}, "namespaceSelector": map[string]any{}}
	port := map[string]any{"port": int64(8200), "protocol": "TCP"}
	local := all(set("spec/type", "Local"), set("spec/country", "CH"))
	rules := []rule{
		{"Local without country", local, set("spec/type", "Local"), "must say which country"},
		{"country without Local", none, set("spec/country", "CH"), "belongs to type Local only"},
		{"country in small letters", local, all(set("spec/type", "Local"), set("spec/country", "ch")), "two capital letters"},
		{"country that is none", all(set("spec/type", "Local"), set("spec/country", "GB")), all(set("spec/type", "Local"), set("spec/country", "UK")), "GB for the United Kingdom"},
		{"countries that are none", in("DE"), in("EU"), "as the two capital letters"},
		{"no countries", none, in(), "at least 1 items"},
		{"countries twice", in("DE", "FR"), in("DE", "DE"), "Duplicate value"},
		{"countries outside the European Union", in("DE", "SK"), in("DE", "NO"), "must be members of the European Union"},
		{"countries outside North America", all(set("spec/type", "NA"), in("US", "CA")), all(set("spec/type", "NA"), in("US", "BR")), "must be in North America"},
		{"Local with another country's", all(local, in("CH")), all(local, in("CH", "LI")), "has one country"},
		{"unknown type", set("spec/type", "NA"), set("spec/type", "Mars"), "supported values"},
		{"name too long for a label", set("metadata/name", strings.Repeat("a", 63)), set("metadata/name", strings.Repeat("a", 64)), "usable as a label"},
		{"name with a dot", set("metadata/name", "eu-1"), set("metadata/name", "eu.1"), "usable as a label"},
		{"Vault without TLS", set("spec/vault/address", "https://10.0.0.1:8200/"), set("spec/vault/address", "http://10.0.0.1:8200"), "must be an https:// URL"},
		{"Vault with a path", none, set("spec/vault/address", "https://10.0.0.1:8200/v1"), "host and port only"},
		{"mount with a slash at its end", set("spec/vault/kvMount", "teams/kv"), set("spec/vault/kvMount", "kv/"), "without slashes at its ends"},
		{"mount of settings keys", set("spec/vault/transitMount", "settings-transit"), set("spec/vault/transitMount", "transit-settings"), "does not end in -settings"},
		{"no carrier", none, set("spec/carrier", map[string]any{}), "set carrier.xmpp"},
		{"carrier's domain with a scheme", set("spec/carrier/xmpp/domain", "a.example"), set("spec/carrier/xmpp/domain", "https://a.example"), "write a DNS name"},
		{"carrier's address without port", set("spec/carrier/xmpp/address", "[2001:db8::1]:5222"), set("spec/carrier/xmpp/address", "a.example"), "write host:port"},
		{"unknown registration", set("spec/carrier/xmpp/registration", "Token"), set("spec/carrier/xmpp/registration", "Magic"), "supported values"},
		{"gateway without domain", all(set("spec/endpoint/domain", "a.example"), set("spec/endpoint/gatewayRef", map[string]any{"namespace": "gw", "name": "gw"})), set("spec/endpoint/gatewayRef", map[string]any{"namespace": "gw", "name": "gw"}), "set endpoint.domain"},
		{"shared host without gateway", sharedAt("api.a.example", true), sharedAt("api.a.example", false), "set endpoint.gatewayRef"},
		{"shared host among the relays' names", sharedAt("api.b.example", true), sharedAt("acme-relay.acme.a.example", true), "one label below it"},
		{"shared host is the relays' domain", sharedAt("api.aa.example", true), sharedAt("a.example", true), "one label below it"},
		{"shared host is an address", none, sharedAt("192.0.2.1", true), "a host name, and no IP address"},
		{"region's own label as placement", set("spec/placement/nodeSelector", map[string]any{"disk": "ssd"}), set("spec/placement/nodeSelector", map[string]any{"node-restriction.kubernetes.io/relaykeep-region": "eu"}), "the operator sets it"},
		{"placement with a value that is no label's", none, set("spec/placement/nodeSelector", map[string]any{"disk": strings.Repeat("a", 64)}), "at most 63 characters"},
		{"egress without ports", set("spec/network/vault", map[string]any{"to": []any{peer}, "ports": []any{port}}), set("spec/network/vault", map[string]any{"to": []any{peer}, "ports": []any{}}), "at least 1 items"},
		{"egress without peers", none, set("spec/network/vault", map[string]any{"to": []any{}, "ports": []any{port}}), "at least 1 items"},
		{"a peer that is nobody", set("spec/network/ingress", []any{pods}), set("spec/network/ingress", []any{map[string]any{}}), "either an ipBlock"},
		{"a peer that is two things", set("spec/network/monitoring", []any{peer, pods}), set("spec/network/monitoring", []any{map[string]any{"ipBlock": peer["ipBlock"], "podSelector": map[string]any{}}}), "either an ipBlock"},
		{"private webhook without a peer", set("spec/network/privateWebhooks", []any{map[string]any{"to": []any{pods}, "ports": []any{port}}}), set("spec/network/privateWebhooks", []any{map[string]any{"to": []any{map[string]any{}}, "ports": []any{port}}}), "either an ipBlock"},
		{"private links without hosts", set("spec/network/privateLinks", []any{map[string]any{"hosts": []any{"files.svc", "10.0.0.9"}, "to": []any{pods}, "ports": []any{port}}}), set("spec/network/privateLinks", []any{map[string]any{"hosts": []any{}, "to": []any{pods}, "ports": []any{port}}}), "at least 1 items"},
		{"private links to an address in the web", none, set("spec/network/privateLinks", []any{map[string]any{"hosts": []any{"http://files.svc"}, "to": []any{pods}, "ports": []any{port}}}), "write a DNS name"},
		{"private links without peers", none, set("spec/network/privateLinks", []any{map[string]any{"hosts": []any{"files.svc"}, "to": []any{}, "ports": []any{port}}}), "at least 1 items"},
		{"Vault at no port", set("spec/vault/address", "https://a.example"), set("spec/vault/address", "https://a.example:70000"), "from 1 to 65535"},
		{"carrier at no port", set("spec/carrier/xmpp/address", "a.example:65535"), set("spec/carrier/xmpp/address", "a.example:65536"), "from 1 to 65535"},
		{"transfers of another word", set("spec/transfers", "Forbid"), set("spec/transfers", "Deny"), "Unsupported value"},
		{"thresholds in the wrong order", set("spec/integrity/thresholds/yellowPercent", int64(14)), set("spec/integrity/thresholds/yellowPercent", int64(15)), "must be below redPercent"},
		{"PostgreSQL without port", set("spec/postgres/address", "db.example:5432"), set("spec/postgres/address", "db.example"), "write host:port"},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.testCreate(t, regionYAML) })
	}
}

func TestDataRegionKeepsItsTypeAndCountry(t *testing.T) {
	local := all(set("spec/type", "Local"), set("spec/country", "CH"))
	declared := in("DE", "FR")
	cases := []struct {
		before func(map[string]any)
		rule
	}{
		{declared, rule{"another country declared", in("DE"), in("DE", "NL"), "countries can be removed and not added"}},
		{declared, rule{"countries no longer declared", none, set("spec/countries", nil), "countries can be removed and not added"}},
		{none, rule{"changed type", set("spec/storageClassName", "other"), set("spec/type", "NA"), "type and country cannot be changed"}},
		{none, rule{"type changed to Local", none, local, "type and country cannot be changed"}},
		{local, rule{"changed country", none, set("spec/country", "LI"), "type and country cannot be changed"}},
		{local, rule{"country removed with its type", none, all(set("spec/type", "EU"), set("spec/country", nil)), "type and country cannot be changed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.testUpdate(t, regionYAML, c.before) })
	}
}

// in declares the region's countries.
func in(countries ...any) func(map[string]any) {
	return set("spec/countries", append([]any{}, countries...))
}

// sharedAt gives the region a shared host, and a gateway to have it at.
func sharedAt(host string, gateway bool) func(map[string]any) {
	endpoint := map[string]any{"domain": "a.example", "shared": map[string]any{"host": host}}
	if gateway {
		endpoint["gatewayRef"] = map[string]any{"namespace": "gw", "name": "gw"}
	}
	return set("spec/endpoint", endpoint)
}
