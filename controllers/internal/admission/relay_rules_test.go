package admission

import (
	"strings"
	"testing"
)

const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

// Public keys: an RSA key of 2,048 bits, one of 1,024, and one of an elliptic curve.
const (
	publicKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuCdnZNA/P/Bj0y/D4TiE
kRKN9r3+VbP+T6ODIMppibkYAro6/BkgiS353sifnQdedFKf6rxXbdgv2LkryQEU
ATFREHsQ0j2XP2KUWk8pQ0aeawzhAa4iBRuECOludlG1izD9YFq+bbvGdR/UOd4i
NbmAO9ifHTwE+/05Amnt7IrIYkaHOMB1Hv0mPZZmHHRbqH6EEfQvY05KyfHwWVp8
iGQFrxCO6K8jdv7CLR6GtDjOWISFjaFmlyiQMX6afYu2Hq4J/CNXYWGlFvRB5s6N
pR2K+5WwC26EuQMKVIRCYyjWfRT5DM0r6zYTlrAIXnazh2R8niN9TGcuuYPoQxXM
RQIDAQAB
-----END PUBLIC KEY-----
`
	weakKey = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDN4+aT6hZqupK0dy0NxnDIKbfb
vh7LTIN4VG4iapB1fmuVqlvYi+4AtEi1qnLDyPtL+ImTipOz8N5tz37aAdgKd4z5
kyfwa6UUy6InnAJf0ccAtowbvMvFULGVowJ0fls9dI6cf/4lRqk0DyIk3OpkK24R
hCqdr7dQfldgNAHRbQIDAQAB
-----END PUBLIC KEY-----
`
	curveKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETB25nYSCZIyCHj5EdfNfMJjQ8gZZ
hdSxGL/q5sZhZOLArZu31fnqI7DDXWL5RHP7gOvbhiEhg67qEMXmWE0q8A==
-----END PUBLIC KEY-----
`
)

func TestBusinessRelayIsRefusedAtCreationWithASentenceThatSaysWhatToDo(t *testing.T) {
	rules := []rule{
		{"number without plus", none, set("spec/phoneNumber", "41441234567"), "must be in E.164 form"},
		{"number with spaces", set("spec/phoneNumber", "+14155550123"), set("spec/phoneNumber", "+1 415 555 0123"), "must be in E.164 form"},
		{"number with a leading zero", none, set("spec/phoneNumber", "+0441234567"), "must be in E.164 form"},
		{"number too long", set("spec/phoneNumber", "+123456789012345"), set("spec/phoneNumber", "+1234567890123456"), "7 to 15 digits"},
		{"number too short", set("spec/phoneNumber", "+1234567"), set("spec/phoneNumber", "+123456"), "7 to 15 digits"},
		{"31 days", set("spec/retention/days", int64(30)), set("spec/retention/days", int64(31)), "must be 1 to 30"},
		{"no days", set("spec/retention/days", int64(1)), set("spec/retention/days", int64(0)), "must be 1 to 30"},
		{"name over 40 characters", set("metadata/name", strings.Repeat("a", 40)), set("metadata/name", strings.Repeat("a", 41)), "at most 40 characters"},
		{"name with a dot", set("metadata/name", "a-b"), set("metadata/name", "a.b"), "DNS label"},
		{"name that begins with a digit", set("metadata/name", "a1"), set("metadata/name", "1a"), "beginning with a letter"},
		{"replicas without PostgreSQL", all(set("spec/replicas", int64(2)), set("spec/storage/postgres/database", "acme")), set("spec/replicas", int64(2)), "set storage.postgres"},
		{"no replicas", set("spec/suspend", true), set("spec/replicas", int64(0)), "set suspend: true"},
		{"too many replicas", all(set("spec/replicas", int64(10)), set("spec/storage/postgres/database", "acme")), all(set("spec/replicas", int64(11)), set("spec/storage/postgres/database", "acme")), "must be 1 to 10"},
		{"shared host without ending TLS at the gateway", set("spec/endpoint", map[string]any{"shared": true, "terminateAtGateway": true}), set("spec/endpoint", map[string]any{"shared": true}), "set endpoint.terminateAtGateway to true as well"},
		{"webhook without TLS", set("spec/webhook/url", "https://example.org/hook?x=1"), set("spec/webhook/url", "http://example.org/hook"), "must be an https:// URL"},
		{"webhook with a password", set("spec/webhook/url", "https://example.org/@me"), set("spec/webhook/url", "https://me:secret@example.org/"), "without user name, password"},
		{"webhook with a fragment", none, set("spec/webhook/url", "https://example.org/#a"), "or fragment"},
		{"webhook that is no URL", none, set("spec/webhook/url", "https://exa mple.org/"), "must be an https:// URL"},
		{"webhook of no updates", all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/maxUpdates", int64(1))), all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/maxUpdates", int64(-1))), "1 to 1000"},
		{"webhook of too many updates", all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/maxUpdates", int64(1000))), all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/maxUpdates", int64(1001))), "1 to 1000"},
		{"log kept for no time", set("spec/log/retentionMonths", int64(120)), set("spec/log/retentionMonths", int64(-1)), "1 to 120"},
		{"log kept for too long", set("spec/log/retentionMonths", int64(1)), set("spec/log/retentionMonths", int64(121)), "1 to 120"},
		{"witness without TLS", witnessAt("https://example.org/w"), witnessAt("http://example.org/w"), "must be an https:// URL"},
		{"witness with a query", none, witnessAt("https://example.org/w?x=1"), "without user name, password, query"},
		{"witness at no port", witnessAt("https://example.org:65535"), witnessAt("https://example.org:65536"), "from 1 to 65535"},
		{"witness with a log's key", none, all(witnessAt("https://example.org"), set("spec/log/witness/publicKey", "example.org+0123abcd+A"+strings.Repeat("A", 43))), "public key of a witness"},
		{"webhook at no port", set("spec/webhook/url", "https://example.org:65535/"), set("spec/webhook/url", "https://example.org:65536/"), "from 1 to 65535"},
		{"webhook in no country", all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/country", "CH")), all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/country", "ch")), "country"},
		{"processor without TLS", processors(processor("a", "https://a.example/")), processors(processor("a", "http://a.example/")), "must be an https:// URL"},
		{"processor without a purpose", none, processors(map[string]any{"name": "a", "url": "https://a.example/", "country": "DE"}), "purpose: Required value"},
		{"processor without a country", none, processors(map[string]any{"name": "a", "url": "https://a.example/", "purpose": "statistics"}), "country: Required value"},
		{"processor named twice", processors(processor("a", "https://a.example/"), processor("b", "https://a.example/")), processors(processor("a", "https://a.example/"), processor("a", "https://b.example/")), "Duplicate value"},
		{"processor whose name is a path", none, processors(processor("a/b", "https://a.example/")), "lower-case letters, digits and hyphens"},
		{"five processors", none, processors(processor("a", "https://a.example/"), processor("b", "https://a.example/"), processor("c", "https://a.example/"), processor("d", "https://a.example/"), processor("e", "https://a.example/")), "at most 4 items"},
		{"processor of what is encrypted for the business", set("spec/payloadEncryption/publicKey", publicKey), all(set("spec/payloadEncryption/publicKey", publicKey), processors(processor("a", "https://a.example/"))), "remove one of the two"},
		{"pull secret without a name", set("spec/imagePullSecrets", secrets("a", "b")), set("spec/imagePullSecrets", secrets("")), "the name of a Secret"},
		{"pull secret named twice", none, set("spec/imagePullSecrets", secrets("a", "a")), "Duplicate value"},
		{"claims without resource claims", set("spec/resources/limits/cpu", "1"), set("spec/resources/claims", secrets("gpu")), "remove resources.claims"},
		{"request of memory above the limit", resources("100m", "64Mi"), resources("100m", "65Mi"), "must not be above resources.limits"},
		{"request of a CPU above the limit", resources("1", "1Mi"), resources("1001m", "1Mi"), "must not be above resources.limits"},
		{"authority that is no PEM", all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/caBundle", pem)), all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/caBundle", "AA==")), "PEM text"},
		{"authority with a private key", all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/caBundle", pem)), all(set("spec/webhook/url", "https://a.example"), set("spec/webhook/caBundle", pem+"-----BEGIN PRIVATE KEY-----\n")), "remove the private key"},
		{"private key", none, set("spec/payloadEncryption/publicKey", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"), "remove the private key"},
		{"public key that is no PEM", set("spec/payloadEncryption/publicKey", publicKey), set("spec/payloadEncryption/publicKey", "MIIB"), "must be one RSA public key in PEM"},
		{"public key and more", set("spec/payloadEncryption/publicKey", "\n"+publicKey+"\n"), set("spec/payloadEncryption/publicKey", publicKey+publicKey), "must be one RSA public key in PEM"},
		{"weak public key", none, set("spec/payloadEncryption/publicKey", weakKey), "at least 2048 bits"},
		{"public key of an elliptic curve", none, set("spec/payloadEncryption/publicKey", curveKey), "must be an RSA key"},
		{"public key that is too long", none, set("spec/payloadEncryption/publicKey", publicKey+strings.Repeat("\n", 4096)), "may not be more than 4096"},
		{"payload encryption without a key", none, set("spec/payloadEncryption", map[string]any{}), "Required value"},
		{"volume too small", set("spec/storage/size", "64Mi"), set("spec/storage/size", "1Mi"), "between 64Mi and 16Ti"},
		{"volume that is no quantity", set("spec/storage/size", int64(1<<30)), set("spec/storage/size", "big"), "storage.size"},
		{"another storage mode", set("spec/storage/mode", "None"), set("spec/storage/mode", "Memory"), "supported values"},
		{"database in capitals", set("spec/storage/postgres/database", "acme_1"), set("spec/storage/postgres/database", "Acme"), "lower case"},
		{"certificate at both ends", set("spec/endpoint/tlsSecretName", "tls"), all(set("spec/endpoint/tlsSecretName", "tls"), set("spec/endpoint/terminateAtGateway", true)), "exclude each other"},
		{"unknown trust", set("spec/trust", "firstUse"), set("spec/trust", "never"), "supported values"},
		{"unknown notice", set("spec/encryptionNotice", "Never"), set("spec/encryptionNotice", "Weekly"), "supported values"},
		{"notice too long", set("spec/encryptionNoticeText", strings.Repeat("\u00e4", 1000)), set("spec/encryptionNoticeText", strings.Repeat("a", 1001)), "may not be more than 1000"},
		{"blank notice", set("spec/encryptionNoticeText", "Tap the lock.\n\U0001F512"), set("spec/encryptionNoticeText", " \n"), "must contain text"},
		{"notice with control characters", none, set("spec/encryptionNoticeText", "Tap\tthe lock."), "except line feeds"},
		{"notice with a line separator", none, set("spec/encryptionNoticeText", "Tap\u2028the lock."), "except line feeds"},
		{"no throughput", set("spec/throughput", int64(1000)), set("spec/throughput", int64(1001)), "1 to 1000"},
		{"unknown deletion policy", set("spec/deletionPolicy", "Erase"), set("spec/deletionPolicy", "Keep"), "supported values"},
		{"region that is no name", set("spec/dataRegion", "na"), set("spec/dataRegion", "EU West"), "write the object's name"},
		{"unknown line of business", set("spec/profile/vertical", "RETAIL"), set("spec/profile/vertical", "SHOES"), "supported values"},
		{"Kubernetes' own priority", set("spec/priorityClassName", "relays"), set("spec/priorityClassName", "system-cluster-critical"), "must not begin with system-"},
		{"about too long", set("spec/profile/about", strings.Repeat("a", 139)), set("spec/profile/about", strings.Repeat("a", 140)), "may not be more than 139"},
		{"counter that begins far up", set("spec/rotation/access", int64(10_000)), set("spec/rotation/access", int64(10_001)), "may begin with 10000 at most"},
		{"a picture of another type", set("spec/profile/picture", "/9j/4AAQSkZJRg=="), set("spec/profile/picture", "R0lGODlhAQABAAAAACw="), "should match"},
		{"a picture with line breaks", set("spec/profile/picture", "iVBORw0KGgoAAAAN"), set("spec/profile/picture", "iVBORw0K\nGgoAAAAN"), "should match"},
		{"a picture that is too large", set("spec/profile/picture", "/9j/"+strings.Repeat("A", 43688)), set("spec/profile/picture", "/9j/"+strings.Repeat("A", 43692)), "may not be more than 43692"},
		{"three websites", set("spec/profile/websites", []any{"https://a.example"}), set("spec/profile/websites", []any{"a", "b", "c"}), "at most 2 items"},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.testCreate(t, relayYAML) })
	}
}

// resources requests some of a limit of one CPU and 64Mi.
func resources(cpu, memory string) func(map[string]any) {
	return set("spec/resources", map[string]any{
		"limits": map[string]any{"cpu": int64(1), "memory": "64Mi"}, "requests": map[string]any{"cpu": cpu, "memory": memory},
	})
}

// secrets is a list of references to objects of those names.
func secrets(names ...string) []any {
	var list []any
	for _, name := range names {
		list = append(list, map[string]any{"name": name})
	}
	return list
}

func TestBusinessRelayIsRefusedAtUpdateWithASentenceThatSaysWhatToDo(t *testing.T) {
	postgres := set("spec/storage/postgres/database", "acme")
	toNA := set("spec/moving", map[string]any{"from": "eu", "to": "na", "carrierDomain": "eu.example.org"})
	inNA := all(set("spec/dataRegion", "na"), set("spec/moves", int64(1)))
	settled := all(toNA, set("spec/moving/settled", true))
	cases := []struct {
		before func(map[string]any)
		rule
	}{
		{none, rule{"changed region", none, set("spec/dataRegion", "na"), "only by kubectl relay move"}},
		{set("spec/suspend", true), rule{"changed region of a stopped relay", none, all(set("spec/dataRegion", "na"), set("spec/moves", int64(1))), "only by kubectl relay move"}},
		{none, rule{"count of moves", none, set("spec/moves", int64(1)), "only by kubectl relay move"}},
		{none, rule{"move of a relay that runs", all(set("spec/suspend", true), toNA), toNA, "before it is started"}},
		{none, rule{"move from elsewhere", all(set("spec/suspend", true), toNA), all(set("spec/suspend", true), toNA, set("spec/moving/from", "eu2")), "from the relay's DataRegion"}},
		{none, rule{"move to where it is", all(set("spec/suspend", true), toNA), all(set("spec/suspend", true), toNA, set("spec/moving/to", "eu")), "from one DataRegion to another"}},
		{postgres, rule{"move of a relay with a database that runs", all(set("spec/suspend", true), toNA), toNA, "before it is started"}},
		{set("spec/suspend", true), rule{"database as it begins to move", toNA, all(postgres, toNA), "cannot be added while"}},
		{all(set("spec/suspend", true), toNA), rule{"database while it moves", none, postgres, "cannot be added while"}},
		{all(set("spec/suspend", true), toNA), rule{"start while it moves", none, set("spec/suspend", false), "before it is started"}},
		{all(set("spec/suspend", true), toNA), rule{"other destination", none, set("spec/moving/to", "eu2"), "cannot be changed"}},
		{all(set("spec/suspend", true), toNA), rule{"settled where it was", none, set("spec/moving/settled", true), "settled in the new region"}},
		{all(set("spec/suspend", true), toNA), rule{"region without its count", inNA, set("spec/dataRegion", "na"), "only by kubectl relay move"}},
		{all(set("spec/suspend", true), toNA), rule{"region as it is started", inNA, all(inNA, set("spec/moving/settled", true), set("spec/suspend", false)), "only by kubectl relay move"}},
		{all(set("spec/suspend", true), toNA), rule{"given up where it was", set("spec/moving", nil), all(inNA, set("spec/moving", nil)), "only by kubectl relay move"}},
		{all(set("spec/suspend", true), toNA, inNA), rule{"given up where it is not yet", all(set("spec/dataRegion", "eu"), set("spec/moves", nil)), set("spec/moving", nil), "finish that"}},
		{all(set("spec/suspend", true), toNA, inNA), rule{"started there unsettled", all(set("spec/moving/settled", true), set("spec/suspend", false)), set("spec/suspend", false), "before it is started"}},
		{all(settled, inNA), rule{"unsettled again", set("spec/suspend", true), all(set("spec/suspend", true), set("spec/moving/settled", nil)), "for good"}},
		{all(settled, inNA), rule{"back once settled", set("spec/moving", nil), all(set("spec/suspend", true), set("spec/dataRegion", "eu"), set("spec/moves", nil)), "for good"}},
		{set("spec/storage/size", "2Gi"), rule{"smaller volume", set("spec/storage/size", "3Gi"), set("spec/storage/size", "1Gi"), "cannot shrink"}},
		{set("spec/storage/size", "2Gi"), rule{"volume left out again", set("spec/storage/size", "2048Mi"), set("spec/storage", nil), "cannot shrink"}},
		{none, rule{"storage mode changed", none, set("spec/storage/mode", "None"), "storage.mode cannot be changed"}},
		{set("spec/storage/mode", "None"), rule{"storage mode left out again", none, set("spec/storage/mode", nil), "storage.mode cannot be changed"}},
		{none, rule{"database added to a relay that runs", none, postgres, "only while the relay is stopped"}},
		{none, rule{"database added as the relay is stopped", none, all(postgres, set("spec/suspend", true)), "only while the relay is stopped"}},
		{set("spec/suspend", true), rule{"database added as the relay is started", postgres, all(postgres, set("spec/suspend", false)), "only while the relay is stopped"}},
		{postgres, rule{"database removed", none, set("spec/storage/postgres", nil), "cannot be removed"}},
		{postgres, rule{"database changed", none, set("spec/storage/postgres/database", "other"), "cannot be changed"}},
		{set("spec/rotation/access", int64(2)), rule{"counter counted down", set("spec/rotation/access", int64(3)), set("spec/rotation/access", int64(1)), "only count up"}},
		{set("spec/rotation/identity", int64(2)), rule{"counter left out again", set("spec/rotation/identity", int64(2)), set("spec/rotation", nil), "only count up"}},
		{none, rule{"counter raised far", set("spec/rotation/identity", int64(65)), set("spec/rotation/identity", int64(66)), "may raise it by 64 at most"}},
		{none, rule{"other counter raised far", set("spec/rotation/access", int64(65)), set("spec/rotation/access", int64(1_000_000)), "may raise it by 64 at most"}},
		{none, rule{"replicas raised without PostgreSQL", set("spec/throughput", int64(10)), set("spec/replicas", int64(3)), "set storage.postgres"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.testUpdate(t, relayYAML, c.before) })
	}
}

func TestNumberIsFreeUntilTheRelayHasItsIdentityAndFixedThereafter(t *testing.T) {
	o := object(t, relayYAML, nil)
	if err := server.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, o)
	set("spec/phoneNumber", "+41441234568")(o.Object)
	if err := server.Client.Update(t.Context(), o); err != nil {
		t.Fatalf("changing the number of a relay without identity: %v", err)
	}
	set("status/initializedTime", "2026-01-02T03:04:05Z")(o.Object)
	if err := server.Client.Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	set("spec/throughput", int64(7))(o.Object)
	if err := server.Client.Update(t.Context(), o); err != nil {
		t.Fatalf("changing something else: %v", err)
	}
	set("spec/phoneNumber", "+41441234569")(o.Object)
	wantRefusal(t, server.Client.Update(t.Context(), o), "cannot be changed once the relay has its identity")
}

// witnessAt names a witness of the log.
func witnessAt(address string) func(fields) {
	return all(set("spec/log/witness/url", address), set("spec/log/witness/publicKey", "example.org+0123abcd+B"+strings.Repeat("A", 43)))
}

func processor(name, url string) map[string]any {
	return map[string]any{"name": name, "url": url, "purpose": "statistics", "country": "DE"}
}

// processors sets those of a relay.
func processors(of ...map[string]any) func(map[string]any) {
	list := make([]any, len(of))
	for i, p := range of {
		list[i] = p
	}
	return set("spec/processors", list)
}
