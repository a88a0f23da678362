package admission

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// rewrite replaces text of the configuration, which must be there.
func rewrite(old, replacement string) func(fields) {
	return at("data", func(data fields) {
		text, _ := data["relay.json"].(string)
		if !strings.Contains(text, old) {
			panic("the configuration has no " + old) // a mistake in the test's table
		}
		data["relay.json"] = strings.ReplaceAll(text, old, replacement)
	})
}

// insert puts text behind the configuration's first brace.
func insert(text string) func(fields) { return rewrite("{\n  \"version\"", "{"+text+"\n  \"version\"") }

// evilVault is what a configuration does not say: where Vault is.
const evilVault = `"vault": {"address": "https://evil.example:8200"},`

// configurationRules are what a relay's configuration must not say, no matter who writes
// it.
func configurationRules() []rule {
	const (
		places   = "must not say where Vault and the carrier are"
		webhook  = "delivers to the webhook of its BusinessRelay"
		log      = "keeps its log as its BusinessRelay says"
		copies   = "sends copies to the processors of its BusinessRelay"
		settings = "must be those of its BusinessRelay"

		archive = ",\n    {\n      \"name\": \"archive\",\n      \"url\": \"https://archive.example/\"\n    }"
	)
	unrelated := func(o fields) { o["metadata"].(fields)["name"] = "acme-other" }
	return []rule{
		{"a Vault", none, insert(evilVault), places},
		{"a carrier", none, insert(`"carrier": {"xmpp": {"domain": "evil.example"}},`), places},
		{"a Vault in other spacing", none, insert("\"vault\"\t:\n{},"), places},
		{"a Vault in other letters", none, insert(`"Vault": {},`), places},
		{"a name in escapes", none, insert(`"\u0076ault": {"address": "https://evil.example"},`), "not as escapes"},
		{"a move", none, insert(`"move": "Depart",`), "only as its BusinessRelay says"},
		{"no region", none, rewrite(`"region": "eu"`, `"regional": "eu"`), "must name its DataRegion"},
		{"a region in other spacing", none, rewrite(`"region": "eu"`, `"region":"eu"`), "must name its DataRegion"},
		{"another webhook", none, rewrite("https://hooks.acme.example:9443/in", "https://evil.example/in"), webhook},
		{"another authority for the webhook", none, rewrite("AA==", "AB=="), webhook},
		{"no certificate for the webhook", none, rewrite(",\n    \"clientCertificate\": true", ""), webhook},
		{"other credentials than the receiver's", none, rewrite(",\n    \"ownCredentials\": true", ""), webhook},
		{"more updates in a webhook", none, rewrite(`"maxUpdates": 100`, `"maxUpdates": 1000`), webhook},
		{"one update in a webhook", none, rewrite(",\n    \"maxUpdates\": 100", ""), webhook},
		{"another witness", none, rewrite("https://witness.acme.example:8089", "https://evil.example"), log},
		{"another witness's key", none, rewrite("+0123abcd+B", "+0123abcd+BB"), log},
		{"no witness", none, rewrite("\"witness\": {\n      \"url\"", "\"other\": {\n      \"url\""), log},
		{"a log that is kept shorter", none, rewrite(`"retentionMonths": 24`, `"retentionMonths": 2`), log},
		{"no log settings", none, rewrite(`"log": {`, `"loggy": {`), log},
		{"another processor", rewrite(archive, ""), rewrite("https://archive.example/", "https://evil.example/"), copies},
		{"one processor more", none, rewrite(archive, archive+strings.ReplaceAll(archive, "archive", "evil")), copies},
		{"another authority for a processor", none, rewrite("Aw==", "Ag=="), copies},
		{"no authority for a processor", none, rewrite("/acme?a=1\\u0026b=\\u003c2\\u003e\",\n      \"caBundle\"", "/acme?a=1\\u0026b=\\u003c2\\u003e\",\n      \"ca\""), copies},
		{"processors in other spacing", none, rewrite(`"processors": [`, `"processors" : [`), copies},
		{"a longer retention", none, rewrite(`"retentionDays": 30`, `"retentionDays": 300`), settings},
		{"blind trust", none, rewrite(`"trust": "firstUse"`, `"trust": "blind"`), settings},
		{"customers' numbers", none, rewrite(`"hideNumbers": true,`, ""), settings},
		{"notices to customers", none, rewrite(`"noEncryptionNotice": true,`, ""), settings},
		{"another notice", none, rewrite("Tap the lock.", "Call +1 900."), settings},
		{"no notice of the business's own", none, rewrite(`"encryptionNoticeText"`, `"text"`), settings},
		{"TLS that ends elsewhere", none, rewrite(`"tls": "Secret"`, `"tls": "None"`), settings},
		{"another business account", none, rewrite(`"businessAccount": "acme-numbers"`, `"businessAccount": "globex-numbers"`), settings},
		{"no business account", none, rewrite(`"businessAccount": "acme-numbers",`, ""), settings},
		{"another number", none, rewrite(`"phoneNumber": "+41441234567"`, `"phoneNumber": "+41441234568"`), settings},
		{"binary", all(unrelated, at("metadata", none), toBinary), toBinary, "put its files into data"},
		{"binary limits", none, limitsToBinary, "put its files into data"},
		{"nothing of a relay's", all(unrelated, insert(evilVault)), insert(evilVault), places},
	}
}

// toBinary hides a configuration where policies do not look.
func toBinary(o fields) {
	delete(o, "data")
	o["binaryData"] = fields{"relay.json": "e30="}
}

// limitsToBinary hides what holds for first contacts where the rule that it is the operator's does not look.
func limitsToBinary(o fields) {
	delete(o["data"].(fields), "integrity.json")
	o["binaryData"] = fields{"integrity.json": "e30="}
}

// testConfigurationUpdate holds that a configuration cannot be changed into what it
// could not have been made as, and that a business which takes nothing in clear, or
// has no webhook, is not given either.
func (h *house) testConfigurationUpdate(t *testing.T) {
	live := object(t, h.configuration, nil)
	if err := server.Client.Create(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, live)
	update := func(c client.Client, edit func(fields)) error {
		return c.Update(t.Context(), object(t, manifest(t, live.Object), edit), client.DryRunAll)
	}
	for _, c := range []client.Client{server.Client, h.operator} {
		wantRefusal(t, update(c, insert(evilVault)), "must not say where Vault and the carrier are")
		wantRefusal(t, update(c, rewrite("https://hooks.acme.example:9443/in", "https://evil.example/in")), "delivers to the webhook")
		wantRefusal(t, update(c, all(put("metadata/labels", nil), rewrite("https://hooks.acme.example:9443/in", "https://evil.example/in"))), "")
		if err := update(c, rewrite(`"throughput": 80`, `"throughput": 90`)); err != nil {
			t.Errorf("the accepted twin is refused: %v", err)
		}
	}
	editor := userWho(t, "integrity-editor", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"update"}})
	exempt := at("data", func(data fields) { data["integrity.json"] = `{"version":1,"limits":"Exempt","relays":1}` })
	wantRefusal(t, update(editor, exempt), "integrity.json of a relay's ConfigMap is the operator's to write")
	wantRefusal(t, update(editor, limitsToBinary), "put its files into data")
	if err := update(editor, rewrite(`"throughput": 80`, `"throughput": 90`)); err != nil {
		t.Errorf("who leaves integrity.json as it is: %v", err)
	}
	if err := update(h.operator, exempt); err != nil {
		t.Errorf("the operator: %v", err)
	}
	h.testBareConfiguration(t)
}

// testForeignMaps holds that ConfigMaps that are no relay's are nobody's concern, also
// where there is no BusinessRelay, and that the operator writes no configuration there.
func (h *house) testForeignMaps(t *testing.T) {
	there := set("metadata/namespace", newNamespace(t))
	plain := all(there, put("metadata/labels", nil), put("data", fields{"a": "b"}))
	for _, name := range []string{"plain", "plain-relay"} {
		if err := server.Client.Create(t.Context(), object(t, h.configuration, all(plain, set("metadata/name", name))), client.DryRunAll); err != nil {
			t.Errorf("the ConfigMap %s: %v", name, err)
		}
	}
	wantRefusal(t, h.operator.Create(t.Context(), object(t, h.configuration, there), client.DryRunAll), "no params found")
}

func (h *house) testBareConfiguration(t *testing.T) {
	bare := object(t, relayYAML, set("metadata/name", "bare"))
	if err := server.Client.Create(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, bare)
	in := h.in
	in.Relay = &v1alpha1.BusinessRelay{}
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(bare), in.Relay); err != nil {
		t.Fatal(err)
	}
	one := &house{in: in}
	one.render(t)
	testRules(t, server.Client, one.configuration, []rule{
		{"a webhook", none, insert(`"webhook" : {"url": "https://evil.example"},`), "delivers to the webhook"},
		{"a processor", none, insert(`"processors": [{"name": "evil", "url": "https://evil.example"}],`), "sends copies to the processors"},
		{"messages in clear", none, insert(`"acceptUnencrypted": true,`), "must be those of its BusinessRelay"},
		{"reactions in clear", none, insert(`"clearMetadata": true,`), "must be those of its BusinessRelay"},
		{"a database", none, insert(`"postgres": {"database": "globex", "size": 1073741824},`), "in the database of its BusinessRelay"},
		{"a business account", none, insert(`"businessAccount": "globex-numbers",`), "must be those of its BusinessRelay"},
		{"no numbers", none, insert(`"hideNumbers": true,`), "must be those of its BusinessRelay"},
		{"no notices", none, insert(`"noEncryptionNotice": true,`), "must be those of its BusinessRelay"},
		{"a notice", none, insert(`"encryptionNoticeText": "Call +1 900.",`), "must be those of its BusinessRelay"},
	})
}
