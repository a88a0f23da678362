package dataplane_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/customers"
)

func TestFile_TravelsFromCustomerToBusinessAndBack(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	theirs := append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("what the customer has photographed"), 10_000)...)
	b.Hide("what the customer has photographed", p.Number.Digits())
	sent, err := p.SendFile(t.Context(), b.Phone(), "garden.png", bytes.NewReader(theirs), int64(len(theirs)))
	check(t, err)
	in := b.WaitUpdate("a picture", func(u webhooktest.Update) bool { return u.Type == "image" })
	if in.From != p.Number.Digits() {
		t.Error("the webhook names another sender")
	}
	p.Learns(customer.Delivered, sent)
	status, answer := b.Ask(http.MethodGet, "/"+in.File.ID, "", nil)
	var kept struct{ SHA256 string }
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &kept) != nil {
		t.Fatalf("the file answers %d %s", status, answer)
	}
	if sum := sha256.Sum256(theirs); kept.SHA256 != hex.EncodeToString(sum[:]) {
		t.Error("the business has another file")
	}

	note := "OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01\x13OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
	_, err = p.SendFile(t.Context(), b.Phone(), "note.ogg", strings.NewReader(note), int64(len(note)))
	check(t, err)
	b.WaitUpdate("a voice note", func(u webhooktest.Update) bool {
		return u.Type == "audio" && u.File.MIME == "audio/ogg" && u.File.Voice
	})

	const ours = "what the business has photographed"
	b.WaitStatus(b.SendImage(p.Number.E164(), b.Keep("image/png", ours), ""), "read")
	path, err := p.SaveFile(t.Context(), seesFile(p), t.TempDir())
	check(t, err)
	if got, err := os.ReadFile(path); err != nil || string(got) != ours {
		t.Errorf("the customer has %d bytes: %v", len(got), err)
	}
	b.NothingLeaked()
}

// seesFile waits until a link to a file arrived, and returns it.
func seesFile(p *customers.Client) (link media.FileURL) {
	p.Wait("a business's file", func(e customer.Event) bool {
		l, err := media.ParseFileURL(e.Text)
		if err == nil {
			link = l
		}
		return err == nil
	})
	return link
}
