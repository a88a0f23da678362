package message_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/test/racing"
)

// controls is a text of control characters, which JSON writes as six bytes each. It does
// not compress.
func controls(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		b.WriteByte(byte(1 + r.IntN(31)))
	}
	return b.String()
}

// onDisk is what the store's files take, its log not counted.
func (w *world) onDisk() int64 {
	w.t.Helper()
	check(w.t, w.store.Scrub(w.t.Context()))
	var bytes int64
	check(w.t, filepath.WalkDir(w.dir, func(path string, _ fs.DirEntry, err error) error {
		info, failed := os.Stat(path)
		if err == nil && failed == nil && info.Mode().IsRegular() && info.Name() != "reserve" {
			bytes += info.Size()
		}
		return err
	}))
	return bytes
}

// The webhooks of all messages wait, as for a receiver that is away.
func TestControlCharactersTakeHardlyMoreRoomThanTheirSize(t *testing.T) {
	racing.SkipExhaustive(t)
	const size, count = 60 << 10, 50
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.away = true }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.settle()
		before := w.onDisk()
		for range count {
			a.says(w.number, controls(size))
		}
		w.settle()
		grown := float64(w.onDisk()-before) / (size * count)
		t.Logf("%d texts of %d control characters take %.2f times their size", count, size, grown)
		if grown > 1.3 {
			t.Errorf("control characters take %.2f times their size on disk, want at most 1.3", grown)
		}
		w.back()
		got := texts(w.take())
		if len(got) != count+1 || got[count] != controls(size) {
			t.Errorf("the business got %d texts, want %d as they were written", len(got), count+1)
		}
	})
}

func TestWebhooksOfEarlierRelaysAreDelivered(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		id := store.NewMessageID()
		payload, err := webhook.Account{BusinessAccountID: "1", PhoneNumberID: "2", Phone: w.number}.MessagePayload(
			webhook.Message{ID: id, From: a.number, Time: time.Now(), Text: "from before the upgrade"})
		check(t, err)
		body, err := json.Marshal(map[string]any{"text": "from before the upgrade", "markable": true})
		check(t, err)
		check(t, w.store.Update(t.Context(), func(tx *store.Tx) error {
			c, err := tx.Customer(a.number)
			if err != nil {
				return err
			}
			m := store.Message{
				ID: id, Direction: store.Inbound, Customer: c.ID, Type: "text", Body: body, CarrierID: "early", State: "received", Created: time.Now(),
			}
			_, failed := tx.Enqueue(store.Job{Queue: "webhook", Customer: c.ID, Message: id, NotBefore: time.Now(), Body: payload})
			return errors.Join(tx.PutMessage(m), failed)
		}))
		a.says(w.number, "after it") // wakes the queue
		if got := strings.Join(texts(w.take()), ", "); got != "from before the upgrade, after it" {
			t.Errorf("the business got %q", got)
		}
		check(t, w.MarkRead(t.Context(), message.Read{ID: id, Typing: false}))
		p, err := w.Person(t.Context(), a.number, "", 10)
		check(t, err)
		if got := string(p.Messages[1].Content); got != `{"text":"from before the upgrade"}` {
			t.Errorf("the export says %s", got)
		}
	})
}

func TestWebhook_WhoseMessageIsGoneIsNotDelivered(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.away = true }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.settle()
		check(t, w.Erase(t.Context(), a.number))
		w.back()
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v", got)
		}
	})
}

// later postpones a webhook whose receiver is away.
func (w *world) later() (queue.Result, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return queue.Later(time.Second), w.away
}

// back ends that the receiver of webhooks is away.
func (w *world) back() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = false
}
