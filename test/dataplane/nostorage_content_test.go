package dataplane_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/forensic"
)

// What both sides write in these tests, by what it is. None is part of another.
var written = map[string]string{
	"a customer's text":              "whether the heron lands on the pond",
	"a customer's answer":            "certainly by the second willow tree",
	"a customer's caption":           "drawn from memory at the window",
	"a customer's file's name":       "sketchbook-of-the-heron",
	"a customer's file":              "graphite lines, page after page of them",
	"a customer's text that waits":   "nobody has read about the otter",
	"a customer's file that waits":   "the otter as it dives below the bridge",
	"a customer's reason":            "my reading glasses cannot decipher",
	"a business's text":              "we lend boats from nine in the morning",
	"a business's answer":            "the willow is reserved until Thursday",
	"a business's caption":           "the landing stage after the repair",
	"a business's document's name":   "timetable-of-the-ferry",
	"a business's file":              "departures on the hour and at half past",
	"a business's opaque data":       "internal-ticket-about-boats",
	"a template's value":             "Miss Featherstonehaugh",
	"an offered choice":              "choice-of-the-long-tour",
	"an offered choice's title":      "The long tour",
	"a business's text that waits":   "your oars are ready for collection",
	"a business's text to an absent": "the lock is closed for the season",
}

// TestNoStorage_VolumeHoldsNoContentAtAnyMoment copies the volume of a running relay again and again while both sides write
// everything that they can, and reads the copies with every key that Vault has. A relay with storage, of which the same is
// done, shows that the reading sees what is there.
func TestNoStorage_VolumeHoldsNoContentAtAnyMoment(t *testing.T) {
	t.Parallel()
	var secrets []scan.Secret
	for name, text := range written {
		secrets = append(secrets, scan.Secret{Name: name, Bytes: text})
	}
	for name, none := range map[string]bool{"without storage": true, "with storage": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBusiness(t)
			b.Config.NoStorage = none
			b.StartReady()
			copies := b.copied(t, func() { writesEverything(t, b) })
			witness := forensic.Witness{
				Root: shared.Root, Wrapping: b.Namespace + "." + b.Config.Name, Settings: "transit-settings/" + b.Namespace + "." + b.Config.Name,
				Identity: b.Config.Vault.KVMount + "/data/" + b.Namespace + "/" + b.Config.Name + "/identity/1",
			}
			found, most := map[string]int{}, forensic.Content{}
			for i, c := range copies {
				said, err := witness.Say(t.Context(), c, filepath.Join(t.TempDir(), "beside"), secrets...)
				check(t, err)
				for what, n := range said.Secrets {
					found[what] += n
				}
				most.Messages, most.Jobs, most.Files = max(most.Messages, said.Messages), max(most.Jobs, said.Jobs), max(most.Files, said.Files)
				most.Lost, most.Whole, most.Ciphertexts = max(most.Lost, said.Lost), max(most.Whole, said.Whole), max(most.Ciphertexts, said.Ciphertexts)
				if none && said.Whole+said.Ciphertexts > 0 {
					t.Errorf("copy %d has %d files that can be read and %d messages' ciphertexts", i, said.Whole, said.Ciphertexts)
				}
			}
			t.Logf("%d copies, of which one each has %+v; of %d secrets %d are there", len(copies), most, len(secrets), len(found))
			if len(copies) < 10 || most.Messages < 15 || most.Jobs < 3 || most.Files < 4 {
				t.Error("the copies have too little: nothing is proven")
			}
			for _, s := range secrets {
				switch {
				case none && found[s.Name] > 0:
					t.Errorf("%s stands on the volume", s.Name)
				case !none && found[s.Name] == 0:
					t.Errorf("%s is not found with storage: the reading would not see it", s.Name)
				}
			}
			if none && most.Lost == 0 || !none && (most.Lost > 0 || most.Ciphertexts == 0 || most.Whole == 0) {
				t.Error("rows do not say what is lost of them")
			}
			b.NothingLeaked()
		})
	}
}

// copied copies the relay's volume again and again, whenever it has changed, until do returns and once more.
func (b *business) copied(t *testing.T, do func()) (copies []forensic.Copy) {
	t.Helper()
	const every = 50 * time.Millisecond
	dir, ctx := t.TempDir(), t.Context()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var last string
		for tick := time.NewTicker(every); ; <-tick.C {
			ended := ctx.Err() != nil
			if state := b.volumeState(); state != last || ended {
				last = state
				c, err := forensic.Take(b.Volume(), filepath.Join(dir, fmt.Sprint(len(copies))))
				if err != nil {
					done <- err
					return
				}
				copies = append(copies, c)
			}
			if ended {
				done <- nil
				return
			}
		}
	}()
	do()
	cancel()
	check(t, <-done)
	return copies
}

// volumeState changes when the relay writes to its volume.
func (b *business) volumeState() (state string) {
	for _, name := range []string{"relay.db", "relay.db-wal"} {
		if info, err := os.Stat(filepath.Join(b.Volume(), name)); err == nil {
			state += fmt.Sprintln(info.ModTime().UnixNano(), info.Size())
		}
	}
	return state
}

// writesEverything has both sides write all that is written; some of it waits in the end.
func writesEverything(t *testing.T, b *business) {
	t.Helper()
	p := customers.StartIn(t, shared.prosody, shared.Number(), carrier.OMEMO2)
	gone := newPerson(t)
	shy := customers.StartShy(t, shared.prosody, shared.Number())
	b.Hide(p.Number.Digits(), gone.Number.Digits(), shy.Number.Digits())
	shy.Stop() // so that nobody answers the contact request, for which messages wait
	says := func(what string) string { b.Hide(written[what]); return written[what] }
	question := p.Says(b, says("a customer's text"))
	b.WaitText(written["a customer's text"])
	p.Learns(customer.Delivered, question)
	gone.Says(b, "I am off for the summer")
	b.WaitText("I am off for the summer")
	gone.Stop()

	name := says("a customer's file's name") + ".txt"
	shares(t, p, b, name, says("a customer's file"), "")
	b.WaitUpdate("a file", func(u webhooktest.Update) bool { return u.File.Filename == name })
	shares(t, p, b, "", written["a customer's file"], says("a customer's caption"))
	b.WaitUpdate("a captioned file", func(u webhooktest.Update) bool { return u.File.Caption == written["a customer's caption"] })
	opaque := map[string]any{"biz_opaque_callback_data": says("a business's opaque data")}
	out := b.SayWith(p.Number.E164(), says("a business's text"), opaque)
	b.WaitStatus(out, "read")
	shown := p.Shown(written["a business's text"])
	p.SaysAbout(b, says("a customer's answer"), carrier.References{ReplyTo: shown.ID})
	answer := b.WaitText(written["a customer's answer"])
	b.WaitStatus(b.SayWith(p.Number.E164(), says("a business's answer"), map[string]any{"context": map[string]string{"message_id": answer.ID}}), "read")
	file := b.Keep("application/pdf", strings.Repeat(says("a business's file")+"\n", 10_000))
	b.WaitStatus(b.Send(map[string]any{"to": p.Number.E164(), "type": "document", "document": map[string]string{
		"id": file, "caption": says("a business's caption"), "filename": says("a business's document's name") + ".pdf",
	}}), "read")
	b.usesTemplate(t, p.Number.E164(), says("a template's value"))
	b.WaitStatus(b.Send(map[string]any{"to": p.Number.E164(), "type": "interactive", "interactive": map[string]any{
		"type": "button", "body": map[string]string{"text": "Which one?"}, "action": map[string]any{"buttons": []any{map[string]any{
			"type": "reply", "reply": map[string]string{"id": says("an offered choice"), "title": says("an offered choice's title")},
		}}},
	}}), "read")
	_, err := p.Send(t.Context(), b.Phone(), "1")
	check(t, err)
	b.WaitUpdate("a choice", func(u webhooktest.Update) bool { return u.Chosen == written["an offered choice"] })

	b.SetDown(true)
	p.Reacts(b, shown.ID, "👍")
	p.Says(b, says("a customer's text that waits"))
	shares(t, p, b, "otter.txt", says("a customer's file that waits"), "")
	check(t, p.OptOut(t.Context(), b.Phone(), says("a customer's reason"), nil))
	waits := b.SayWith(shy.Number.E164(), says("a business's text that waits"), opaque)
	b.SayWith(gone.Number.E164(), says("a business's text to an absent"), opaque)
	await.Until(t, "all of that is stored", func() bool { return b.Report().Counts.WebhookQueued >= 5 })
	for _, u := range b.Updates() {
		if u.ID == waits {
			t.Errorf("what is to wait has the status %s", u.Status)
		}
	}
}

// shares sends a business a file: with a name as clients of OMEMO2 do, or with a caption as others.
func shares(t *testing.T, p *customers.Client, b *business, name, content, caption string) {
	t.Helper()
	b.Hide(content)
	data := []byte(strings.Repeat(content+"\n", 5_000))
	slot, err := p.Carrier.(carrier.Uploads).UploadSlot(t.Context(), media.UploadName("txt"), int64(len(data))+media.TagSize)
	check(t, err)
	link := media.NewFileURL()
	link.URL = slot.Get
	encrypted, err := link.Encrypt(bytes.NewReader(data))
	check(t, err)
	check(t, p.Web.Put(t.Context(), slot.Put, slot.Header, io.NopCloser(encrypted), int64(len(data))+media.TagSize))
	sum := sha256.Sum256(data)
	if caption == "" {
		_, err = p.Share(t.Context(), b.Phone(), link.Text(), carrier.SharedFile{Name: name, MIME: "text/plain", Size: int64(len(data)), SHA256: sum[:], Link: link.Text()})
	} else {
		_, err = p.Send(t.Context(), b.Phone(), link.Text()+"\n"+caption)
	}
	check(t, err)
}

// usesTemplate makes a template and sends it with a value.
func (b *business) usesTemplate(t *testing.T, to, value string) {
	t.Helper()
	const template = `{"name":"order","language":"en_US","category":"UTILITY","components":[{"type":"BODY","text":"The boat is for {{1}}."}]}`
	path := "/" + b.Report().BusinessAccountID + "/message_templates"
	if status, answer := b.Ask(http.MethodPost, path, "application/json", []byte(template)); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	b.WaitStatus(b.Send(map[string]any{"to": to, "type": "template", "template": map[string]any{
		"name": "order", "language": map[string]string{"code": "en_US"},
		"components": []any{map[string]any{"type": "body", "parameters": []any{map[string]string{"type": "text", "text": value}}}},
	}}), "read")
}
