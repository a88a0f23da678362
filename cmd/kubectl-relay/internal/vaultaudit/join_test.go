package vaultaudit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/receipt"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func subject() Subject {
	return Subject{Region: "eu", Namespace: "acme", Account: "acme-relay", AuthPath: "kubernetes", KVMount: "kv", TransitMount: "transit", PKIMount: "pki"}
}

// line is an answer in an audit file, of the janitor's unless change says otherwise.
func line(minute int, operation, path string, change func(e map[string]any)) string {
	e := map[string]any{
		"type": "response", "time": noon.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339Nano),
		"auth": map[string]any{
			"display_name": "kubernetes-acme-acme-relay", "entity_id": "e", "accessor": "hmac-sha256:aa", "token_policies": []string{"relaykeep-janitor-eu"},
			"metadata": map[string]any{"role": "relaykeep-janitor-eu", "service_account_name": "acme-relay", "service_account_namespace": "acme"},
		},
		"request": map[string]any{"id": fmt.Sprint(minute, operation, path), "operation": operation, "path": path, "remote_address": "10.0.0.1"},
	}
	if change != nil {
		change(e)
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

// says adds what the answer says of a key.
func says(lowest int) func(map[string]any) {
	return func(e map[string]any) {
		e["response"] = map[string]any{"data": map[string]any{"min_available_version": lowest, "latest_version": 9}}
	}
}

const key = "transit/keys/acme.acme-relay"

func joined(t *testing.T, text string, receipts ...receipt.Receipt) Report {
	t.Helper()
	r, err := Join(strings.NewReader(text), subject(), receipts, Window{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantOnly(t *testing.T, r Report, findings ...string) {
	t.Helper()
	if len(r.Findings) != len(findings) {
		t.Errorf("findings are %+v, want %q", r.Findings, findings)
		return
	}
	for i, want := range findings {
		if !strings.Contains(r.Findings[i].What, want) {
			t.Errorf("finding %d is %+v, want %q", i, r.Findings[i], want)
		}
	}
}

func TestJoin_VersionsThatComeBackAreFound(t *testing.T) {
	r := joined(t, line(0, "read", key, says(5))+line(1, "read", key, says(3)))
	wantOnly(t, r, "versions 3 to 4 of the wrapping key are there again")
	if r.Findings[0].Line != 2 {
		t.Errorf("it is in line %d", r.Findings[0].Line)
	}
}

func TestJoin_SilenceIsFound(t *testing.T) {
	wantOnly(t, joined(t, line(0, "read", "sys/health", nil)+line(119, "read", "sys/health", nil)+line(300, "read", "sys/health", nil)), "says nothing for 3h1m")
}

func TestJoin_RequestWithoutAnAnswerIsFound(t *testing.T) {
	asked := func(e map[string]any) { e["type"] = "request" }
	trim := line(1, "update", key+"/trim", asked)
	wantOnly(t, joined(t, trim+line(60, "read", "sys/health", nil)), "the janitor destroys versions of a key: whether Vault did it is not in the file")
	wantOnly(t, joined(t, trim)) // the answer may be in the next file
	refused := line(1, "update", key+"/trim", func(e map[string]any) { e["error"] = "permission denied" })
	if r := joined(t, trim+refused+line(60, "read", "sys/health", nil)); len(r.Findings) != 0 || len(r.Own) != 1 || r.Own[0].Refused != 1 {
		t.Errorf("%+v", r)
	}
}

func TestJoin_TrimThatDestroysNothingNeedsNoReceipt(t *testing.T) {
	text := line(0, "read", key, says(5)) + line(1, "update", key+"/trim", says(5))
	if r := joined(t, text); len(r.Findings) != 0 || r.Destroyed != 0 {
		t.Errorf("%+v", r)
	}
	wantOnly(t, joined(t, text+line(2, "update", key+"/trim", says(6))), "the janitor destroys versions of a key, all below 6, and no receipt says so")
}

// A data key from another region dies with its entry in KV.
func TestJoin_CarriedKeys(t *testing.T) {
	made := noon.AddDate(0, -1, 0)
	text := line(0, "read", "sys/health", nil) +
		line(10, "delete", fmt.Sprintf("kv/metadata/acme/acme-relay/carried/%d-7", made.Unix()), nil) +
		line(10, "create", "kv-receipts/data/acme/acme-relay/janitor/2026-03/01T121000Z-00000000", nil) + line(20, "read", "sys/health", nil)
	r := receipt.Receipt{
		Version: 1, By: receipt.Janitor, Began: noon.Add(10 * time.Minute), Time: noon.Add(10 * time.Minute), Latest: 3, Below: 1, Carried: []time.Time{made},
	}
	wantOnly(t, joined(t, text, r))
	wantOnly(t, joined(t, text, func() receipt.Receipt { r := r; r.Carried = nil; return r }()), "the janitor deletes a secret, and no receipt says so")
	r.Carried = append(r.Carried, made.Add(time.Hour))
	wantOnly(t, joined(t, text, r), "a data key from another region, and the file does not")
}

// Lines that are no entries are passed over, with their place, and hide nothing.
func TestJoin_DamagedLinesAreSaid(t *testing.T) {
	good := line(0, "update", key+"/trim", says(5))
	r := joined(t, "not JSON\n"+good[:len(good)/2]+"\n\n"+strings.Repeat("x", MaxLine+10)+"\n@cee: "+good+strings.Repeat("{", 1000))
	wantOnly(t, r, "all below 5, and no receipt says so")
	if r.Damaged != 4 || fmt.Sprint(r.DamagedAt) != "[1 2 4 6]" || r.Entries != 1 || r.Findings[0].Line != 5 {
		t.Errorf("%+v", r)
	}
	if _, err := join(strings.NewReader(good+good), int64(len(good)+1), subject(), nil, Window{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
}

// Nobody is taken for a party who is not in all that Vault says of a login.
func TestParty_NeedsAllOfALogin(t *testing.T) {
	auth := func(change func(a map[string]any)) string {
		return line(0, "read", "kv/data/acme/acme-relay/identity/1", func(e map[string]any) {
			a := e["auth"].(map[string]any)
			a["token_policies"] = []string{"relaykeep-relay-eu"}
			a["metadata"].(map[string]any)["role"] = "relaykeep-relay-eu"
			if change != nil {
				change(a)
			}
		})
	}
	if r := joined(t, auth(nil)); len(r.Flagged) != 0 || len(r.Own) != 1 || r.Own[0].Who != (Who{Party: Relay}) {
		t.Fatalf("the relay itself: %+v", r)
	}
	for what, change := range map[string]func(a map[string]any){
		"a token that an admin made": func(a map[string]any) { a["display_name"] = "token-kubernetes-acme-acme-relay" },
		"a token with more policies": func(a map[string]any) { a["token_policies"] = []string{"relaykeep-relay-eu", "root"} },
		"another region's role": func(a map[string]any) {
			a["token_policies"], a["metadata"].(map[string]any)["role"] = []string{"relaykeep-relay-na"}, "relaykeep-relay-na"
		},
		"another account": func(a map[string]any) {
			a["display_name"], a["metadata"].(map[string]any)["service_account_name"] = "kubernetes-acme-b-relay", "b-relay"
		},
		"the reader of credentials": func(a map[string]any) {
			a["token_policies"], a["metadata"].(map[string]any)["role"] = []string{"relaykeep-credentials-eu"}, "relaykeep-credentials-eu"
		},
		"nobody, who is not named":     func(a map[string]any) { clear(a) },
		"a login at another auth path": func(a map[string]any) { a["display_name"] = "other-acme-acme-relay" },
	} {
		if r := joined(t, auth(change)); len(r.Flagged) != 1 || len(r.Own) != 0 || r.Flagged[0].Who.Party != "" || r.Flagged[0].Path != "read kv/data/acme/acme-relay/identity/1" {
			t.Errorf("%s: %+v", what, r)
		}
	}
	// A party that does what it is not there for is told.
	if r := joined(t, line(0, "read", "kv/data/acme/acme-relay/identity/1", nil)); len(r.Flagged) != 1 || r.Flagged[0].Who.Party != Janitor {
		t.Errorf("the janitor reads an identity: %+v", r)
	}
}

func TestClassify(t *testing.T) {
	s := subject()
	for what, want := range map[string]Kind{
		"read kv/data/acme/acme-relay/carrier":                  SecretRead,
		"list kv/metadata/acme/acme-relay/":                     SecretList,
		"update kv/data/acme/acme-relay/carrier":                SecretWrite,
		"update kv/undelete/acme/acme-relay/carrier":            SecretWrite,
		"delete kv/metadata/acme/acme-relay/identity/1":         SecretDelete,
		"update kv/destroy/acme/acme-relay/identity/1":          SecretDelete,
		"update transit/decrypt/acme.acme-relay":                KeyUse,
		"update transit/datakey/plaintext/acme.acme-relay":      KeyUse,
		"update transit-settings/sign/acme.acme-relay-log":      KeyUse,
		"delete transit-settings/keys/acme.acme-relay":          KeyDelete,
		"update transit/keys/acme.acme-relay/trim":              KeyDestroy,
		"update transit/keys/acme.acme-relay/config":            KeyChange,
		"read transit/export/encryption-key/acme.acme-relay":    KeyCopy,
		"read transit/export/encryption-key/acme.acme-relay/1":  KeyCopy,
		"read transit/backup/acme.acme-relay":                   KeyCopy,
		"update transit/restore/acme.acme-relay":                KeyRestore,
		"update transit/restore":                                Mount,
		"update transit/keys/acme.acme-relay/import_version":    KeyRestore,
		"delete kv-receipts/metadata/acme/acme-relay/janitor/x": ReceiptChange,
		"update kv-receipts/data/acme/acme-relay/janitor/x":     ReceiptChange,
		"create kv-receipts/data/acme/acme-relay/janitor/x":     ReceiptCreate,
		"update sys/policies/acl/relaykeep-relay-eu":            Policy,
		"delete sys/policy/relaykeep-keeper-eu":                 Policy,
		"update auth/kubernetes/role/relaykeep-janitor-eu":      Login,
		"update auth/token/create-orphan":                       Login,
		"update sys/generate-root/attempt":                      Login,
		"delete sys/mounts/transit":                             Mount,
		"update sys/mounts/kv-receipts/tune":                    Mount,
		"delete sys/audit/file":                                 AuditDevice,
		"update sys/config/auditing/request-headers/x":          AuditDevice,
		"read sys/storage/raft/snapshot":                        Snapshot,
		"read sys/raw/logical/x":                                Snapshot,
		"update pki/root/sign-intermediate":                     Authority,
		"read kv/data/acme/acme-relay-2-relay/carrier":          "",
		"read kv/data/globex/acme-relay/carrier":                "",
		"update transit/keys/acme.acme-relay-2-relay/trim":      "",
		"update pki/sign/relaykeep-relay-eu":                    "",
		"update auth/kubernetes/login":                          "",
		"update auth/token/renew-self":                          "",
		"update sys/policies/acl/relaykeep-relay-na":            "",
		"read sys/policies/acl/relaykeep-relay-eu":              "",
		"update sys/mounts/other":                               "",
		"read sys/health":                                       "",
	} {
		operation, path, _ := strings.Cut(what, " ")
		a, is := s.classify(operation, path)
		if !is {
			a.kind = ""
		}
		if a.kind != want {
			t.Errorf("%s is taken for %q, want %q", what, a.kind, want)
		}
	}
}

// FuzzJoin: no file makes reading fail or grow, and every line is counted once.
func FuzzJoin(f *testing.F) {
	f.Add(line(0, "update", key+"/trim", says(5)))
	f.Add(line(0, "create", "kv-receipts/data/acme/acme-relay/janitor/2026-03/01T121000Z-00000000", nil) + "x\n\n{}\n")
	f.Add(`{"type":"response","time":"2026-03-01T12:00:00Z","request":{"path":"transit/keys/acme.acme-relay"},"response":{"data":{"latest_version":1,"min_available_version":-1}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Join(strings.NewReader(text), subject(), nil, Window{})
		if err != nil {
			t.Fatal(err)
		}
		filled := int64(0)
		for l := range strings.SplitSeq(text, "\n") {
			if strings.TrimSpace(l) != "" {
				filled++
			}
		}
		if r.Entries+r.Damaged > filled || len(r.Findings) > maxFindings || len(r.DamagedAt) > maxPlaces {
			t.Fatalf("%d lines, and %+v", filled, r)
		}
	})
}
