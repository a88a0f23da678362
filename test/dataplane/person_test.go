package dataplane_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
)

func TestPerson_IsExportedAndErasedAlone(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	gone, stays := newPerson(t), newPerson(t)
	for _, p := range []*customers.Client{gone, stays} {
		p.AsksForContact(b)
		p.Says(b, "hello from one of two")
		b.WaitText("hello from one of two")
		b.WaitStatus(b.Say(p.Number.E164(), "hello to one of two"), "read")
	}
	toOne, toBoth := b.Keep("image/png", "a picture for one"), b.Keep("image/png", "a picture for two")
	for _, file := range []string{toOne, toBoth} {
		b.WaitStatus(b.SendImage(gone.Number.E164(), file, ""), "read")
	}
	b.WaitStatus(b.SendImage(stays.Number.E164(), toBoth, ""), "read")
	blocked, err := json.Marshal(map[string]any{"messaging_product": "whatsapp", "block_users": []any{map[string]string{"user": gone.Number.E164()}}})
	check(t, err)
	if status, answer := b.Request(http.MethodPost, "/block_users", b.Token, blocked); status != http.StatusOK {
		t.Fatalf("blocking answers %d %s", status, answer)
	}
	await.Until(t, "the carrier blocks, too", func() bool { return b.listed("blocklist", gone.Number.Digits()) })
	path := func(p *customers.Client) string { return "/customers/" + p.Number.Digits() }
	status, answer := b.Request(http.MethodGet, path(gone)+"?limit=1", b.Token, nil)
	var export struct {
		WaID     string `json:"wa_id"`
		Blocked  bool
		Devices  []struct{ Active bool }
		Messages struct {
			Data []struct {
				ID, Direction, Type, Status string
				Content                     struct{ Text string }
			}
			Paging *struct{ Cursors struct{ After string } }
		}
	}
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &export) != nil {
		t.Fatalf("the export answers %d %s", status, answer)
	}
	first := export.Messages.Data
	if export.WaID != gone.Number.Digits() || !export.Blocked || len(export.Devices) != 1 || len(first) != 1 || export.Messages.Paging == nil ||
		first[0].Direction != "inbound" || first[0].Content.Text != "hello from one of two" {
		t.Fatalf("the first page is %s", answer)
	}
	_, answer = b.Request(http.MethodGet, path(gone)+"?after="+export.Messages.Paging.Cursors.After, b.Token, nil)
	if !strings.Contains(answer, "hello to one of two") || strings.Contains(answer, "hello from") || strings.Contains(answer, "paging") {
		t.Errorf("the last page is %s", answer)
	}

	if !strings.Contains(answer, `"file":{"id":"`+toOne+`","kind":"image","mime_type":"image/png"`) || !strings.Contains(answer, toBoth) || strings.Contains(answer, "aesgcm") {
		t.Errorf("the files' page is %s", answer)
	}

	await.Until(t, "both are on the contact list", func() bool {
		return b.listed("roster", gone.Number.Digits()) && b.listed("roster", stays.Number.Digits())
	})
	for range 2 { // the second time nothing is left
		if status, answer := b.Request(http.MethodDelete, path(gone), b.Token, nil); status != http.StatusOK || answer != `{"success":true}` {
			t.Fatalf("the erasure answers %d %s", status, answer)
		}
	}
	await.Until(t, "who was erased is off the contact list", func() bool { return !b.listed("roster", gone.Number.Digits()) })
	if !b.listed("roster", stays.Number.Digits()) {
		t.Error("the other person is off the contact list, too")
	}
	await.Until(t, "who was erased is off the block list", func() bool { return !b.listed("blocklist", gone.Number.Digits()) })
	for file, want := range map[string]int{toOne: http.StatusBadRequest, toBoth: http.StatusOK} {
		if status, answer := b.Ask(http.MethodGet, "/"+file, "", nil); status != want {
			t.Errorf("a file answers %d %s, want %d", status, answer, want)
		}
	}
	if status, answer := b.Request(http.MethodGet, path(gone), b.Token, nil); status != http.StatusBadRequest {
		t.Errorf("the export of who was erased answers %d %s", status, answer)
	}
	if status, _ := b.Request(http.MethodDelete, path(gone), "someone-else's", nil); status != http.StatusUnauthorized {
		t.Errorf("a foreign token got %d", status)
	}
	if _, answer := b.Request(http.MethodGet, path(stays), b.Token, nil); !strings.Contains(answer, "hello to one of two") {
		t.Errorf("the other person's export is %s", answer)
	}
	// Whoever was erased may write again, as somebody new.
	// The session was erased, so that the first attempt begins a new one.
	gone.Says(b, "it is me again")
	b.WaitUpdate("that there was a message", func(u webhooktest.Update) bool { return u.Type == "unsupported" })
	b.WaitStatus(b.Say(gone.Number.E164(), "please say that again"), "read")
	gone.Says(b, "it is me again, once more")
	b.WaitText("it is me again, once more")
	b.WaitStatus(b.Say(gone.Number.E164(), "welcome"), "read")
	b.NothingLeaked()
}

// listed says whether a number is on a list that the carrier keeps for the business:
// "roster" or "blocklist".
func (b *business) listed(kind, digits string) bool {
	b.t.Helper()
	found := false
	check(b.t, filepath.WalkDir(shared.prosody.Dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) != kind || !strings.Contains(path, b.Number[1:]) {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || strings.Contains(string(content), digits)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}))
	return found
}

func TestPerson_IsErasedWithTheirQueuedJobs(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "hello")
	b.WaitText("hello")
	await.Until(t, "the first webhook is done", func() bool { return b.Report().Counts.WebhookQueued == 0 })
	b.SetDown(true)
	p.Says(b, "queued for the webhook")
	await.Until(t, "a webhook is queued", func() bool { return b.Report().Counts.WebhookQueued >= 1 })
	if status, answer := b.Request(http.MethodDelete, "/customers/"+p.Number.Digits(), b.Token, nil); status != http.StatusOK {
		t.Fatalf("the erasure answers %d %s", status, answer)
	}
	await.Until(t, "nothing is queued", func() bool {
		c := b.Report().Counts
		return c.WebhookQueued == 0 && c.OutboxQueued == 0
	})
	b.SetDown(false)
	b.Wait(contract.ConditionWebhookVerified, contract.True, "")
	for _, u := range b.Updates() {
		if u.Text == "queued for the webhook" {
			t.Error("it was delivered after the erasure")
		}
	}
}
