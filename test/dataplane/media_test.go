package dataplane_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

func TestFile_TravelsFromCustomerToBusinessAndBack(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	to, err := phone.Parse(b.number)
	check(t, err)
	theirs := append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("what the customer has photographed"), 10_000)...)
	b.hidden = append(b.hidden, "what the customer has photographed", p.number.Digits())
	sent, err := p.SendFile(t.Context(), to, "garden.png", bytes.NewReader(theirs), int64(len(theirs)))
	check(t, err)
	in := b.waitImage()
	if in.From != p.number.Digits() {
		t.Error("the webhook names another sender")
	}
	p.learns(customer.Delivered, sent)
	status, answer := b.ask(http.MethodGet, "/"+in.File.ID, "", nil)
	var kept struct{ SHA256 string }
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &kept) != nil {
		t.Fatalf("the file answers %d %s", status, answer)
	}
	if sum := sha256.Sum256(theirs); kept.SHA256 != hex.EncodeToString(sum[:]) {
		t.Error("the business has another file")
	}

	const ours = "what the business has photographed"
	b.waitStatus(b.sends(p, b.keeps(ours)), "read")
	path, err := p.SaveFile(t.Context(), p.seesFile(), t.TempDir())
	check(t, err)
	if got, err := os.ReadFile(path); err != nil || string(got) != ours {
		t.Errorf("the customer has %d bytes: %v", len(got), err)
	}
	b.nothingLeaked()
}

// seesFile waits until a link to a file arrived, and returns it.
func (p *person) seesFile() (link media.FileURL) {
	p.t.Helper()
	eventually(p.t, "a business's file at the customer", func() bool {
		return p.has(func(e customer.Event) bool {
			l, err := media.ParseFileURL(e.Text)
			if err == nil {
				link = l
			}
			return err == nil
		})
	})
	return link
}

// waitImage waits for the webhook that tells of a picture.
func (b *business) waitImage() (found webhooktest.Update) {
	b.t.Helper()
	eventually(b.t, "the webhook of a picture", func() bool {
		for _, u := range b.updates() {
			if u.Type == "image" {
				found = u
				return true
			}
		}
		return false
	})
	return found
}
