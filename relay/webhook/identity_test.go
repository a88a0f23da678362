package webhook_test

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook"
)

func TestMessage_NamesTheKeyThatAuthenticatedIt(t *testing.T) {
	got, err := account(t).MessagePayload(webhook.Message{
		ID: "wamid.x", From: mustNumber(t, "+16505551234"), User: sheena, Time: time.Unix(1749416383, 0), Text: "hi",
		IdentityHash: "DF2lS5v2W6xDF2lS5v2W6w==",
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "message-text-identity", got)
}

func TestIdentityPayloads(t *testing.T) {
	cases := map[string]webhook.Identity{
		"new-device":  {NewDevice: true, Accepted: true},
		"new-key":     {Accepted: true},
		"refused":     {NewDevice: true},
		"refused-key": {},
	}
	for name, i := range cases {
		t.Run(name, func(t *testing.T) {
			i.ID, i.Customer, i.User, i.Time = "wamid.x", mustNumber(t, "+16505551234"), sheena, time.Unix(1749416383, 0)
			i.Hash, i.Fingerprint = "DF2lS5v2W6xDF2lS5v2W6w==", "aabbccdd 00112233"
			got, err := account(t).IdentityPayload(i)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "identity-"+name, got)
		})
	}
}
