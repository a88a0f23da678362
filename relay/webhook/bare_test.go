package webhook_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
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
