package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/repository"
)

const accessor = "auth_kubernetes_1234"

func alias(of string) string {
	return "{{identity.entity.aliases." + accessor + ".metadata.service_account_" + of + "}}"
}

func TestGranted_ErrsOnTheSideOfMore(t *testing.T) {
	own := login{accessor, "acme", "acme-relay", "uid"}
	for name, c := range map[string]struct {
		rule, path string
		want       bool
	}{
		"the same path":                     {"transit/keys", "transit/keys", true},
		"another path":                      {"transit/keys", "transit/key", false},
		"a longer path":                     {"transit/keys", "transit/keys/one", false},
		"a prefix":                          {"kv/*", "kv/data/acme/one", true},
		"part of a segment":                 {"kv/data/ac*", "kv/data/acme/one", true},
		"a prefix of another":               {"kv/data/b*", "kv/data/acme/one", false},
		"one segment":                       {"transit/decrypt/+", "transit/decrypt/acme.acme-relay", true},
		"one segment is not two":            {"kv/+", "kv/data/acme", false},
		"the own name":                      {"transit/decrypt/" + alias("namespace") + "." + alias("name"), "transit/decrypt/acme.acme-relay", true},
		"another's name":                    {"transit/decrypt/" + alias("namespace") + "." + alias("name"), "transit/decrypt/globex.globex-relay", false},
		"the own uid":                       {"kv/data/" + alias("namespace") + "/access/" + alias("uid") + "/*", "kv/data/acme/access/uid/1", true},
		"a template of another mount":       {"kv/data/{{identity.entity.aliases.other.metadata.x}}/one", "kv/data/globex/one", true},
		"such a template within a segment":  {"transit/decrypt/a-{{identity.entity.id}}", "transit/decrypt/globex.globex-relay", true},
		"a leading slash":                   {"/transit/keys", "transit/keys", true},
		"everything":                        {"*", "sys/policies/acl/x", true},
		"a segment between":                 {"kv/+/acme/one", "kv/data/acme/one", true},
		"a segment between, then something": {"kv/+/acme/*", "kv/data/globex/one", false},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := parsePolicy(`path "` + c.rule + `" { capabilities = ["update", "deny"] }`)
			if err != nil {
				t.Fatal(err)
			}
			if got := own.granted(rules, c.path, "update", "read"); (len(got) == 1) != c.want {
				t.Errorf("%s at %s: %v", c.rule, c.path, got)
			}
		})
	}
}

func TestParsePolicy_ReadsOlderFormsAndRefusesOthers(t *testing.T) {
	rules, err := parsePolicy(`path "secret/*" { policy = "write" }`)
	if err != nil || len(rules) != 1 || !slices.Contains(rules[0].capabilities, "delete") {
		t.Errorf("got %v, %v", rules, err)
	}
	rules, err = parsePolicy(`{"path": {"secret/*": {"capabilities": ["read"]}}}`)
	if err != nil || len(rules) != 1 || rules[0].path != "secret/*" {
		t.Errorf("JSON: got %v, %v", rules, err)
	}
	if rules, err := parsePolicy(`path "secret/*" {`); err == nil {
		t.Errorf("got %v", rules)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(`path "secret/*" { capabilities = ["read"] }`)
	f.Add(`path "a/{{x" { policy = "write" }`)
	f.Fuzz(func(_ *testing.T, text string) {
		rules, err := parsePolicy(text)
		if err == nil {
			_ = login{accessor, "acme", "acme-relay", "uid"}.granted(rules, "kv/data/acme/one", all()...)
		}
	})
}

// TestPolicyNames_AreThoseOfTheRelease compares them with the files.
func TestPolicyNames_AreThoseOfTheRelease(t *testing.T) {
	folder, err := repository.File("config", "admission")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), filepath.Ext(f.Name())); ok {
			names = append(names, "relaykeep-"+name)
		}
	}
	if !slices.Equal(names, policyNames()) {
		t.Errorf("config/admission has %v, and audit looks at %v", names, policyNames())
	}
}

func TestHoldsNumber(t *testing.T) {
	for text, want := range map[string]bool{
		"sent to +491701234567":                     true,
		`"to":"+491701234567"`:                      true,
		"from 491701234567@eu.example.org":          true,
		"of +4930111111":                            false, // the business's own
		"4930111111@eu.example.org":                 false,
		"2026-11-30T11:20:28.454+01:00":             false,
		`{"time":"2026-11-30T11:20:28+0100"}`:       false,
		"relaykeep_bytes 1.234567e+09":              false,
		"phone number id 123456789012345":           false,
		"ghcr.io/relaykeep/relay@sha256:0123456789": false,
		"https://acme-relay.acme.svc:8443":          false,
	} {
		if got := holdsNumber(text, "+4930111111"); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
