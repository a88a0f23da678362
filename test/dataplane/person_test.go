package dataplane_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
)

func TestAPersonIsExportedAndErasedAndNobodyElse(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	gone, stays := newPerson(t), newPerson(t)
	for _, p := range []*person{gone, stays} {
		p.says(b, "hello from one of two")
		b.waitText("hello from one of two")
		b.waitStatus(b.say(p.number.E164(), "hello to one of two"), "read")
	}
	path := func(p *person) string { return "/customers/" + p.number.Digits() }
	status, answer := b.request(http.MethodGet, path(gone)+"?limit=1", b.token, nil)
	var export struct {
		WaID     string `json:"wa_id"`
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
	if export.WaID != gone.number.Digits() || len(export.Devices) != 1 || len(first) != 1 || export.Messages.Paging == nil ||
		first[0].Direction != "inbound" || first[0].Content.Text != "hello from one of two" {
		t.Fatalf("the first page is %s", answer)
	}
	_, answer = b.request(http.MethodGet, path(gone)+"?after="+export.Messages.Paging.Cursors.After, b.token, nil)
	if !strings.Contains(answer, "hello to one of two") || strings.Contains(answer, "hello from") || strings.Contains(answer, "paging") {
		t.Errorf("the last page is %s", answer)
	}

	eventually(t, "both are on the contact list", func() bool {
		return b.contacts(gone.number.Digits()) && b.contacts(stays.number.Digits())
	})
	for range 2 { // the second time nothing is left
		if status, answer := b.request(http.MethodDelete, path(gone), b.token, nil); status != http.StatusOK || answer != `{"success":true}` {
			t.Fatalf("the erasure answers %d %s", status, answer)
		}
	}
	eventually(t, "who was erased is off the contact list", func() bool { return !b.contacts(gone.number.Digits()) })
	if !b.contacts(stays.number.Digits()) {
		t.Error("the other person is off the contact list, too")
	}
	if status, answer := b.request(http.MethodGet, path(gone), b.token, nil); status != http.StatusBadRequest {
		t.Errorf("the export of who was erased answers %d %s", status, answer)
	}
	if status, _ := b.request(http.MethodDelete, path(gone), "someone-else's", nil); status != http.StatusUnauthorized {
		t.Errorf("a foreign token got %d", status)
	}
	if _, answer := b.request(http.MethodGet, path(stays), b.token, nil); !strings.Contains(answer, "hello to one of two") {
		t.Errorf("the other person's export is %s", answer)
	}
	// Whoever was erased may write again, as somebody new.
	// The session was erased, so that the first attempt begins a new one.
	gone.says(b, "it is me again")
	eventually(t, "the business learns that there was a message", func() bool {
		return slices.ContainsFunc(b.updates(), func(u update) bool { return u.Type == "unsupported" })
	})
	b.waitStatus(b.say(gone.number.E164(), "please say that again"), "read")
	gone.says(b, "it is me again, once more")
	b.waitText("it is me again, once more")
	b.waitStatus(b.say(gone.number.E164(), "welcome"), "read")
	b.nothingLeaked()
}

// contacts says whether a number is on the contact list that the carrier keeps for the
// business.
func (b *business) contacts(digits string) bool {
	b.t.Helper()
	found := false
	check(b.t, filepath.WalkDir(shared.prosody.Dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) != "roster" || !strings.Contains(path, b.number[1:]) {
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

func TestAPersonIsErasedWithWhatIsQueued(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "hello")
	b.waitText("hello")
	b.setDown(true)
	p.says(b, "queued for the webhook")
	eventually(t, "a webhook is queued", func() bool { return b.report().Counts.WebhookQueued >= 1 })
	if status, answer := b.request(http.MethodDelete, "/customers/"+p.number.Digits(), b.token, nil); status != http.StatusOK {
		t.Fatalf("the erasure answers %d %s", status, answer)
	}
	eventually(t, "nothing is queued", func() bool {
		c := b.report().Counts
		return c.WebhookQueued == 0 && c.OutboxQueued == 0
	})
	b.setDown(false)
	b.wait(contract.ConditionWebhookVerified, contract.True, "")
	for _, u := range b.updates() {
		if u.Text.Body == "queued for the webhook" {
			t.Error("it was delivered after the erasure")
		}
	}
}
