package message_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// trusted is everything in the store that the Signal layer works with: our pre-keys,
// and a customer's devices, identity keys and sessions.
func (w *world) trusted(peer phone.Number, devices ...carrier.DeviceID) []byte {
	w.t.Helper()
	var b bytes.Buffer
	check(w.t, w.store.View(w.t.Context(), func(tx *store.Tx) error {
		pre, err := tx.PreKeys()
		check(w.t, err)
		signed, err := tx.SignedPreKeys()
		check(w.t, err)
		for _, k := range append(pre, signed...) {
			fmt.Fprintf(&b, "pre-key %d %x\n", k.ID, k.Data)
		}
		c, err := tx.Customer(peer)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		check(w.t, err)
		known, err := tx.Devices(c.ID)
		check(w.t, err)
		for _, d := range known {
			fmt.Fprintf(&b, "device %d %x %x %t %t\n", d.ID, d.IdentityKey, d.Offered, d.Active, d.Accepted)
		}
		for _, d := range devices {
			r, err := tx.Record(c.ID, d)
			check(w.t, err)
			if r != nil {
				fmt.Fprintf(&b, "session %d %x\n", d, r)
			}
		}
		return nil
	}))
	return b.Bytes()
}

func TestForgedPreKeyMessagesChangeNothingThatIsStored(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		var genuine carrier.Message // caught before the relay has it
		w.tamper(func(m carrier.Message) carrier.Message {
			genuine = m
			m.Envelope.Keys = nil
			return m
		})
		a.says(w.number, "genuine")
		w.take()
		w.tamper(nil)
		w.carrier.HideOthers() // or else a session is offered, once a minute, from the device's signed bundle
		device := genuine.Envelope.Sender
		before := w.trusted(a.number, device)
		key := slices.IndexFunc(genuine.Envelope.Keys, func(k carrier.Key) bool { return k.Device == 4711 })
		data := genuine.Envelope.Keys[key].Data
		if !genuine.Envelope.Keys[key].PreKey {
			t.Fatal("the first message is no pre-key message")
		}
		refused := 0
		for i := range data {
			forged := genuine
			forged.Envelope.Keys = slices.Clone(genuine.Envelope.Keys)
			forged.Envelope.Keys[key].Data = slices.Clone(data)
			forged.Envelope.Keys[key].Data[i] ^= 0x80
			if i == 0 || unauthenticated(data, i) {
				continue
			}
			check(t, w.brings(forged))
			refused++
			if !bytes.Equal(before, w.trusted(a.number, device)) {
				t.Fatalf("a change of byte %d changed what is stored", i)
			}
		}
		check(t, w.brings(genuine))
		if got := texts(w.take()); !slices.Equal(got, []string{"genuine"}) || refused < 100 {
			t.Errorf("of the genuine message after %d forged ones the business got %q", refused, got)
		}
		if bytes.Equal(before, w.trusted(a.number, device)) {
			t.Error("the genuine message changed nothing: the comparison proves nothing")
		}
	})
}

// unauthenticated says whether byte i of a pre-key message is of the registration id,
// which nothing authenticates and nobody reads: field 5, after the inner message.
func unauthenticated(data []byte, i int) bool {
	at := bytes.LastIndexByte(data[:len(data)-2], 0x28)
	return i >= at && i < len(data)-2
}

func TestOneTimePreKey_IsGoneAfterItsTimeOfUse(t *testing.T) {
	racing.SkipExhaustive(t)
	first, second := t.TempDir(), t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		bundle := w.hub.Bundle(w.number, 4711)
		bundle.PreKeys = bundle.PreKeys[:1]
		offer := func() { w.hub.Change(func() { w.hub.Bundles[w.number][4711] = bundle }) }
		offer()
		a := w.customer(first, alice)
		a.says(w.number, "with the one-time key")
		if got := texts(w.take()); len(got) != 1 {
			t.Fatalf("the business got %q", got)
		}
		elapse(8 * 24 * time.Hour)
		check(t, w.store.View(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.PreKey(bundle.PreKeys[0].ID); err == nil {
				t.Error("the key is still there")
			}
			return nil
		}))
		offer() // a carrier hands the used key out again
		b := w.customer(second, "+491702222222")
		b.says(w.number, "with the same one-time key")
		events := w.take()
		if len(texts(events)) != 0 || w.Refused("unknown_prekey") != 1 {
			t.Errorf("the business got %+v", events)
		}
		b.says(w.number, "in the session that the relay offered") // which repairs it
		if got := texts(w.take()); len(got) != 1 {
			t.Errorf("the business got %q", got)
		}
	})
}

// TestD14OneCustomersMessagesNeverUseAKeyTwice sends and receives with one customer
// from many goroutines at once: a ratchet's key that was used twice would be a
// replay at the other end.
func TestD14OneCustomersMessagesNeverUseAKeyTwice(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		const each = 40
		var group sync.WaitGroup
		for i := range each {
			group.Go(func() {
				_, err := w.AcceptText(t.Context(), message.Text{To: a.number, Body: fmt.Sprint("out ", i)})
				check(t, err)
			})
			group.Go(func() { a.trySay(w.number, fmt.Sprint("in ", i)) })
		}
		group.Wait()
		synctest.Wait()
		in := texts(w.take())
		if got := a.got(); len(got) != each || len(in) != each {
			t.Errorf("%d of %d arrived at the customer, %d at the business", len(got), each, len(in))
		}
		if n := len(a.all(customer.Unreadable)); n != 0 || w.Count(message.EventUndecryptable)+w.Count(message.EventReplayed) != 0 {
			t.Errorf("%d messages were unreadable to the customer", n)
		}
	})
}
