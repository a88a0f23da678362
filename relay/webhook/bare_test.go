package webhook_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func bareOf(t *testing.T, payload []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	bare, err := webhook.Bare(payload)
	if err != nil {
		t.Fatal(err)
	}
	return bare
}

func TestBare_StatusLosesOnlyWhatTheBusinessAttached(t *testing.T) {
	s := webhook.Status{ID: "wamid.1", State: webhook.Sent, Time: time.Unix(7, 0)}
	want, err := account(t).StatusPayload(s)
	if err != nil {
		t.Fatal(err)
	}
	s.Opaque = "attached"
	payload, err := account(t).StatusPayload(s)
	if bare := bareOf(t, payload, err); !bytes.Equal(bare, want) {
		t.Errorf("it is %s, want %s", bare, want)
	}
	if bare := bareOf(t, want, nil); !bytes.Equal(bare, want) {
		t.Errorf("without anything attached it became %s", bare)
	}
}

func TestBare_ReactionBecomesALoss(t *testing.T) {
	payload, err := account(t).ReactionPayload(webhook.Reaction{ID: "wamid.2", User: "DE.x", Time: time.Unix(7, 0), About: "wamid.1", Emoji: "👍"})
	bare := bareOf(t, payload, err)
	updates, err := webhooktest.Decode(bare)
	if err != nil || len(updates) != 1 {
		t.Fatalf("%s: %v", bare, err)
	}
	if u := updates[0]; u.ID != "wamid.2" || u.Type != "unsupported" || u.Code != webhook.CodeNotDelivered || u.Emoji != "" || u.User != "DE.x" {
		t.Errorf("it is %+v", u)
	}
	if !bytes.Contains(bare, []byte(`}],"errors":[{"code":131035,`)) {
		t.Errorf("the hosted API's place has no error: %s", bare)
	}
	if again := bareOf(t, bare, nil); !bytes.Equal(again, bare) {
		t.Errorf("taken out twice it is %s", again)
	}
}

func TestBare_RefusesWhatIsNoPayload(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"entry":7}`} {
		if _, err := webhook.Bare([]byte(text)); err == nil {
			t.Errorf("%q is a payload", text)
		}
	}
}

// staysInMessages are the fields of a message that may be stored where content may not.
var staysInMessages = []string{
	"context", "from", "from_user_id", "id", "timestamp", "type", "revoke", "unencrypted", "unencrypted_fields", "errors", "unsupported", "system",
}

// FuzzBare holds that no payload, whatever is in it, keeps a field that may be somebody's words.
func FuzzBare(tf *testing.F) {
	f := mutation.Of(tf)
	for _, payload := range all(tf, account(tf), mustNumber(tf, "+"+number)) {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		bare, err := webhook.Bare(payload)
		if err != nil {
			return
		}
		if again, err := webhook.Bare(bare); err != nil || !bytes.Equal(again, bare) {
			t.Errorf("taken out twice it is another: %v", err)
		}
		var p struct {
			Entry []struct {
				Changes []struct {
					Value struct{ Messages, Statuses []map[string]json.RawMessage }
				}
			}
		}
		if err := json.Unmarshal(bare, &p); err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Entry {
			for _, c := range e.Changes {
				for _, m := range c.Value.Messages {
					for field := range m {
						if !slices.Contains(staysInMessages, field) {
							t.Errorf("a message keeps its %s", field)
						}
					}
					if m["errors"] == nil && m["revoke"] == nil && m["system"] == nil {
						t.Error("a message does not say that it was lost")
					}
				}
				for _, s := range c.Value.Statuses {
					if s["biz_opaque_callback_data"] != nil {
						t.Error("a status keeps what the business attached")
					}
				}
			}
		}
	})
}
