package dataplane_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

func TestPerson_IsExportedAndErasedAlone(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	gone, stays := newPerson(t), newPerson(t)
	for _, p := range []*person{gone, stays} {
		p.says(b, "hello from one of two")
		b.waitText("hello from one of two")
		b.waitStatus(b.say(p.number.E164(), "hello to one of two"), "read")
	}
	toOne, toBoth := b.keeps("a picture for one"), b.keeps("a picture for two")
	for _, file := range []string{toOne, toBoth} {
		b.waitStatus(b.sends(gone, file), "read")
	}
	b.waitStatus(b.sends(stays, toBoth), "read")
	blocked, err := json.Marshal(map[string]any{"messaging_product": "whatsapp", "block_users": []any{map[string]string{"user": gone.number.E164()}}})
	check(t, err)
	if status, answer := b.request(http.MethodPost, "/block_users", b.token, blocked); status != http.StatusOK {
		t.Fatalf("blocking answers %d %s", status, answer)
	}
	eventually(t, "the carrier blocks, too", func() bool { return b.listed("blocklist", gone.number.Digits()) })
	path := func(p *person) string { return "/customers/" + p.number.Digits() }
	status, answer := b.request(http.MethodGet, path(gone)+"?limit=1", b.token, nil)
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
	if export.WaID != gone.number.Digits() || !export.Blocked || len(export.Devices) != 1 || len(first) != 1 || export.Messages.Paging == nil ||
		first[0].Direction != "inbound" || first[0].Content.Text != "hello from one of two" {
		t.Fatalf("the first page is %s", answer)
	}
	_, answer = b.request(http.MethodGet, path(gone)+"?after="+export.Messages.Paging.Cursors.After, b.token, nil)
	if !strings.Contains(answer, "hello to one of two") || strings.Contains(answer, "hello from") || strings.Contains(answer, "paging") {
		t.Errorf("the last page is %s", answer)
	}

	if !strings.Contains(answer, `"file":{"id":"`+toOne+`","kind":"image","mime_type":"image/png"`) || !strings.Contains(answer, toBoth) || strings.Contains(answer, "aesgcm") {
		t.Errorf("the files' page is %s", answer)
	}

	eventually(t, "both are on the contact list", func() bool {
		return b.listed("roster", gone.number.Digits()) && b.listed("roster", stays.number.Digits())
	})
	for range 2 { // the second time nothing is left
		if status, answer := b.request(http.MethodDelete, path(gone), b.token, nil); status != http.StatusOK || answer != `{"success":true}` {
			t.Fatalf("the erasure answers %d %s", status, answer)
		}
	}
	eventually(t, "who was erased is off the contact list", func() bool { return !b.listed("roster", gone.number.Digits()) })
	if !b.listed("roster", stays.number.Digits()) {
		t.Error("the other person is off the contact list, too")
	}
	eventually(t, "who was erased is off the block list", func() bool { return !b.listed("blocklist", gone.number.Digits()) })
	for file, want := range map[string]int{toOne: http.StatusBadRequest, toBoth: http.StatusOK} {
		if status, answer := b.ask(http.MethodGet, "/"+file, "", nil); status != want {
			t.Errorf("a file answers %d %s, want %d", status, answer, want)
		}
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
		return slices.ContainsFunc(b.updates(), func(u webhooktest.Update) bool { return u.Type == "unsupported" })
	})
	b.waitStatus(b.say(gone.number.E164(), "please say that again"), "read")
	gone.says(b, "it is me again, once more")
	b.waitText("it is me again, once more")
	b.waitStatus(b.say(gone.number.E164(), "welcome"), "read")
	b.nothingLeaked()
}

// keeps hands a picture to the relay and returns its id.
func (b *business) keeps(content string) string {
	b.t.Helper()
	b.hidden = append(b.hidden, content)
	status, answer := b.upload(content)
	var kept struct{ ID string }
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &kept) != nil {
		b.t.Fatalf("handing over a file answers %d %s", status, answer)
	}
	return kept.ID
}

// upload hands a picture to the relay.
func (b *business) upload(content string) (status int, answer string) {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(b.t, form.WriteField("messaging_product", "whatsapp"))
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="a.png"`}, "Content-Type": {"image/png"},
	})
	check(b.t, err)
	_, err = part.Write([]byte(content))
	check(b.t, errors.Join(err, form.Close()))
	return b.ask(http.MethodPost, "/"+b.numberID+"/media", form.FormDataContentType(), body.Bytes())
}

// sends sends a picture and returns the message's id.
func (b *business) sends(p *person, file string) string {
	b.t.Helper()
	status, answer := b.call(b.token, map[string]any{
		"messaging_product": "whatsapp", "to": p.number.E164(), "type": "image", "image": map[string]string{"id": file},
	})
	var accepted struct{ Messages []struct{ ID string } }
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &accepted) != nil || len(accepted.Messages) != 1 {
		b.t.Fatalf("sending a picture answers %d %s", status, answer)
	}
	return accepted.Messages[0].ID
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
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) != kind || !strings.Contains(path, b.number[1:]) {
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
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "hello")
	b.waitText("hello")
	eventually(t, "the first webhook is done", func() bool { return b.report().Counts.WebhookQueued == 0 })
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
		if u.Text == "queued for the webhook" {
			t.Error("it was delivered after the erasure")
		}
	}
}
