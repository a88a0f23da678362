package dataplane_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
)

// tells sends a text to a user id.
func (b *business) tells(user, text string) string {
	b.t.Helper()
	b.Hide(text)
	return b.Send(map[string]any{"recipient": user, "type": "text", "text": map[string]string{"body": text}})
}

// blockUser changes the block list by user id.
func (b *business) blockUser(method, user string) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"messaging_product": "whatsapp", "block_users": []any{map[string]string{"user_id": user}}})
	check(b.t, err)
	if status, answer := b.Request(method, "/block_users", b.Token, body); status != http.StatusOK || !strings.Contains(answer, `"user_id":"`+user+`"`) {
		b.t.Fatalf("%s block_users answers %d %s", method, status, answer)
	}
}

// noWebhookHas looks for what no webhook may have.
func (b *business) noWebhookHas(secret string) {
	b.t.Helper()
	if len(b.Bodies()) == 0 {
		b.t.Error("there is no webhook: nothing was looked at")
	}
	for _, body := range b.Bodies() {
		if strings.Contains(string(body), secret) {
			b.t.Errorf("a webhook has what it must not: %s", body)
		}
	}
}

func TestCustomer_WithoutANumberIsServedByUserID(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Country, b.Config.Carrier.XMPP.CustomersWithoutNumber = "CH", contract.Allow
	b.StartReady()
	name := "anna." + strings.TrimPrefix(shared.Number(), "+")
	p := customers.StartNamed(t, shared.prosody, name)
	p.AsksForContact(b)
	p.Says(b, "hello from somebody without a number")
	first := b.WaitText("hello from somebody without a number")
	if !strings.HasPrefix(first.User, "CH.") || first.Contact != first.User || first.From+first.Digits != "" {
		t.Fatalf("the message is %+v", first)
	}
	read := b.WaitStatus(b.tells(first.User, "hello to a user id"), "read")
	if read.User != first.User || read.Recipient != "" {
		t.Errorf("the status is %+v", read)
	}
	p.Sees("hello to a user id")

	b.blockUser(http.MethodPost, first.User)
	await.Until(t, "the carrier blocks, too", func() bool { return b.listed("blocklist", name) })
	failed := b.WaitStatus(b.tells(first.User, "to somebody blocked"), "failed")
	if failed.User != first.User || failed.Contact != "" {
		t.Errorf("the failure is %+v", failed)
	}
	if _, answer := b.Request(http.MethodGet, "/block_users", b.Token, nil); !strings.Contains(answer, first.User) || strings.Contains(answer, name) {
		t.Errorf("the block list is %s", answer)
	}
	b.blockUser(http.MethodDelete, first.User)
	await.Until(t, "the carrier blocks no longer", func() bool { return !b.listed("blocklist", name) })
	p.Says(b, "hello once more")
	if again := b.WaitText("hello once more"); again.User != first.User {
		t.Errorf("the same person is %q, and was %q", again.User, first.User)
	}

	if status, answer := b.Request(http.MethodGet, "/customers/"+first.User, b.Token, nil); status != http.StatusOK ||
		!strings.Contains(answer, "hello once more") || strings.Contains(answer, name) {
		t.Errorf("the export answers %d %s", status, answer)
	}
	if status, answer := b.Request(http.MethodDelete, "/customers/"+first.User, b.Token, nil); status != http.StatusOK {
		t.Errorf("the erasure answers %d %s", status, answer)
	}
	await.Until(t, "who was erased is off the contact list", func() bool { return !b.listed("roster", name) })
	if status, answer := b.Call(b.Token, map[string]any{
		"messaging_product": "whatsapp", "recipient": first.User, "text": map[string]string{"body": "x"},
	}); status != http.StatusBadRequest || !strings.Contains(answer, "131026") {
		t.Errorf("to who was erased it answers %d %s", status, answer)
	}
	b.noWebhookHas(name)
	b.NothingLeaked()
}

func TestCustomer_WithoutANumberIsRefusedWhereTheRegionDoesNotAllowIt(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	named := customers.StartNamed(t, shared.prosody, "bob."+strings.TrimPrefix(shared.Number(), "+"))
	named.Says(b, "from somebody without a number")
	p := newPerson(t)
	p.Says(b, "from somebody with one")
	b.WaitText("from somebody with one")
	for _, u := range b.Updates() {
		if u.From != p.Number.Digits() {
			t.Errorf("the business got %+v", u)
		}
	}
	b.NothingLeaked()
}

func TestHiddenNumbers_AreNeverTheBusinesss(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.HideNumbers = true
	b.StartReady()
	p := newPerson(t)
	digits := p.Number.Digits()
	p.Says(b, "who am I")
	first := b.WaitText("who am I")
	b.WaitStatus(b.tells(first.User, "somebody with a user id"), "read")
	p.Reacts(b, p.Shown("somebody with a user id").ID, "👍")
	b.WaitUpdate("a reaction", func(u webhooktest.Update) bool { return u.Type == "reaction" })
	p.SaysAbout(b, "what the person said to it", carrier.References{ReplyTo: p.Shown("somebody with a user id").ID})
	b.WaitText("what the person said to it")
	theirs := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 1000)...)
	_, err := p.SendFile(t.Context(), b.Phone(), "garden.png", bytes.NewReader(theirs), int64(len(theirs)))
	check(t, err)
	file := b.WaitUpdate("a picture", func(u webhooktest.Update) bool { return u.Type == "image" }).File.ID
	b.WaitStatus(b.Send(map[string]any{"recipient": first.User, "type": "image", "image": map[string]string{"id": b.Keep("image/png", "a picture back")}}), "read")
	b.blockUser(http.MethodPost, first.User)
	b.WaitStatus(b.tells(first.User, "to somebody blocked"), "failed")
	b.blockUser(http.MethodDelete, first.User)
	for _, path := range []string{"/customers/" + first.User, "/customers", "/block_users", "", "?fields=health_status"} {
		if status, answer := b.Request(http.MethodGet, path, b.Token, nil); status != http.StatusOK || strings.Contains(answer, digits) {
			t.Errorf("%s answers %d %s", path, status, answer)
		}
	}
	if status, answer := b.Ask(http.MethodGet, "/"+file, "", nil); status != http.StatusOK || strings.Contains(answer, digits) {
		t.Errorf("the file answers %d %s", status, answer)
	}
	block := []byte(`{"messaging_product":"whatsapp","block_users":[{"user":"` + digits + `"}]}`)
	for what, c := range map[string]struct {
		method, path string
		body         []byte
	}{
		"to the number":            {http.MethodPost, "/messages", []byte(`{"messaging_product":"whatsapp","to":"` + digits + `","text":{"body":"is it you?"}}`)},
		"a block of the number":    {http.MethodPost, "/block_users", block},
		"an unblock of the number": {http.MethodDelete, "/block_users", block},
		"an export of the number":  {http.MethodGet, "/customers/" + digits, nil},
		"an erasure of the number": {http.MethodDelete, "/customers/" + digits, nil},
	} {
		if status, answer := b.Request(c.method, c.path, b.Token, c.body); status != http.StatusBadRequest || !strings.Contains(answer, "131009") {
			t.Errorf("%s: %d %s", what, status, answer)
		}
	}
	b.noWebhookHas(digits)
	b.NothingLeaked()
}
