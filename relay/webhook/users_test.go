package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// number is Sheena's, as no webhook may have it where numbers are hidden.
const number = "16505551234"

func hiding(t testing.TB) webhook.Account {
	a := account(t)
	a.HideNumbers = true
	return a
}

// all returns a payload of each kind about Sheena, who may have a number.
func all(t testing.TB, a webhook.Account, from phone.Number) map[string][]byte {
	t.Helper()
	at := time.Unix(1749416383, 0)
	payloads := map[string][]byte{}
	add := func(name string, payload []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		payloads[name] = payload
	}
	for name, m := range map[string]webhook.Message{
		"text":        {Text: "hi"},
		"reply":       {Text: "hi", Context: &webhook.Context{ID: "wamid.o", From: from, User: sheena}},
		"answer":      {Text: "hi", Context: &webhook.Context{ID: "wamid.o", From: a.Phone}},
		"file":        {Media: &webhook.Media{Kind: "image", ID: "7", MIME: "image/png"}},
		"place":       {Place: &rich.Place{Latitude: 50.123456, Longitude: 8}},
		"unsupported": {Errors: []webhook.Error{webhook.Unsupported("why")}},
	} {
		m.ID, m.From, m.User, m.Time = "wamid.x", from, sheena, at
		payload, err := a.MessagePayload(m)
		add(name, payload, err)
	}
	payload, err := a.ReactionPayload(webhook.Reaction{ID: "wamid.x", From: from, User: sheena, Time: at, About: "wamid.o", Emoji: "👍"})
	add("reaction", payload, err)
	payload, err = a.RevokePayload(webhook.Revoke{ID: "wamid.x", From: from, User: sheena, Time: at, About: "wamid.o"})
	add("revoke", payload, err)
	payload, err = a.IdentityPayload(webhook.Identity{ID: "wamid.x", Customer: from, User: sheena, Time: at})
	add("identity", payload, err)
	for _, state := range []webhook.State{webhook.Sent, webhook.Delivered, webhook.Read, webhook.Failed} {
		for to, toUser := range map[string]bool{"-to-number": false, "-to-user": true} {
			payload, err := a.StatusPayload(webhook.Status{ID: "wamid.x", State: state, Time: at, Recipient: from, User: sheena, ToUser: toUser})
			add(string(state)+to, payload, err)
		}
	}
	return payloads
}

// TestHiddenNumbers_AreInNoWebhook also reads webhooks that were finished while numbers were shared.
func TestHiddenNumbers_AreInNoWebhook(t *testing.T) {
	from := mustNumber(t, "+"+number)
	fresh := all(t, hiding(t), from)
	for name, before := range all(t, account(t), from) {
		if !strings.Contains(string(before), number) && name != "failed-to-user" {
			t.Fatalf("%s: the number is not shared, so that nothing is proved", name)
		}
		settled, err := hiding(t).Settled(before, sheena)
		if err != nil {
			t.Fatal(err)
		}
		for when, payload := range map[string][]byte{"written": fresh[name], "settled": settled} {
			if strings.Contains(string(payload), number) {
				t.Errorf("%s, %s: %s", name, when, payload)
			}
			if named := strings.Contains(string(payload), sheena); named == strings.HasSuffix(name, "-to-number") {
				t.Errorf("%s, %s: it has the user id: %v: %s", name, when, named, payload)
			}
			if !strings.Contains(string(payload), `"display_phone_number":"15550783881"`) {
				t.Errorf("%s, %s: the business's own number is gone", name, when)
			}
		}
	}
	golden(t, "hidden-text", fresh["text"])
	golden(t, "hidden-reply", fresh["reply"])
	golden(t, "hidden-identity", fresh["identity"])
	golden(t, "hidden-status-to-number", fresh["sent-to-number"])
}

func TestFormerWebhook_GetsTheUserIDInPlaceOfTheNumber(t *testing.T) {
	former := `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"value":{"metadata":{"display_phone_number":"15550783881"},` +
		`"contacts":[{"profile":{"name":"16505551234"},"wa_id":"16505551234"}],"messages":[{"from":"16505551234","id":"wamid.x","type":"reaction"}]},"field":"messages"}]}]}`
	same, err := account(t).Settled([]byte(former), sheena)
	if err != nil || string(same) != former {
		t.Errorf("where numbers are shared it is %s, %v", same, err)
	}
	for _, user := range []string{sheena, ""} {
		got, err := hiding(t).Settled([]byte(former), user)
		if err != nil || strings.Contains(string(got), number) || strings.Count(string(got), sheena) != map[bool]int{true: 3}[user != ""] {
			t.Errorf("with %q it is %s, %v", user, got, err)
		}
	}
}

func TestUserIDPayloads(t *testing.T) {
	anna, err := phone.ParseName("anna")
	if err != nil {
		t.Fatal(err)
	}
	without := all(t, account(t), anna)
	for name, payload := range without {
		if strings.Contains(string(payload), "anna") {
			t.Errorf("%s has the address: %s", name, payload)
		}
	}
	golden(t, "nameless-text", without["text"])
	golden(t, "nameless-sent", without["sent-to-user"])
	with := all(t, account(t), mustNumber(t, "+"+number))
	golden(t, "user-id-sent", with["sent-to-user"])
	golden(t, "user-id-failed", with["failed-to-user"])
}

// FuzzSettled holds that no webhook that waits brings a number past the switch, whatever is in it.
func FuzzSettled(f *testing.F) {
	for _, payload := range all(f, account(f), mustNumber(f, "+"+number)) {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := hiding(t).Settled(payload, sheena)
		if err != nil {
			return
		}
		var p struct {
			Entry []struct {
				Changes []struct {
					Value struct {
						Contacts []map[string]any
						Messages []map[string]any
						Statuses []map[string]any
					}
				}
			}
		}
		if json.Unmarshal(got, &p) != nil {
			return // of another shape
		}
		for _, e := range p.Entry {
			for _, c := range e.Changes {
				for _, o := range append(append(c.Value.Contacts, c.Value.Messages...), c.Value.Statuses...) {
					for _, field := range []string{"wa_id", "from", "recipient_id"} {
						if _, there := o[field]; there {
							t.Errorf("there is a field %s", field)
						}
					}
				}
			}
		}
	})
}

func TestPayload_MarkedFilesBeginWithTheNumbersID(t *testing.T) {
	a := account(t)
	a.MarkFiles = true
	got, err := a.MessagePayload(webhook.Message{
		ID: "wamid.x", From: mustNumber(t, "+16505551234"), User: sheena, Time: time.Unix(1749416383, 0),
		Media: &webhook.Media{Kind: "image", ID: "1003383421387256", MIME: "image/jpeg"},
	})
	if want := `"id":"` + a.PhoneNumberID + `/1003383421387256"`; err != nil || !strings.Contains(string(got), want) {
		t.Errorf("%s, %v: want %s", got, err, want)
	}
}
