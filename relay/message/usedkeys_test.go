package message_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// choose has everybody find only one one-time pre-key of ours from now on: the one that a
// bundle holds first, or none.
func (w *world) choose(b carrier.Bundle, n int) {
	w.hub.Change(func() {
		b.PreKeys = slices.Clone(b.PreKeys[:n])
		w.hub.Bundles[w.number][w.account.Device] = b
	})
}

func TestUsedPreKey_IsKeptForAWeekAfterItWasWithdrawn(t *testing.T) {
	racing.SkipExhaustive(t)
	const day = 24 * time.Hour
	for name, want := range map[string]struct {
		after time.Duration
		text  []string
	}{
		"six days": {6 * day, []string{"chose the same"}},
		"a week":   {7*day + 2*time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				old := w.hub.Bundle(w.number, w.account.Device)
				w.choose(old, 1)
				a, b := w.customer(dir+"/a", alice), w.customer(dir+"/b", "+491702222222")
				a.says(w.number, "first")
				w.take()
				elapse(want.after)
				w.choose(old, 1)
				b.says(w.number, "chose the same")
				if got := texts(w.take()); !slices.Equal(got, want.text) {
					t.Errorf("the business got %q", got)
				}
				if want.text == nil && w.Refused("unknown_prekey") != 1 {
					t.Errorf("%d named an unknown pre-key", w.Refused("unknown_prekey"))
				}
			})
		})
	}
}

func TestUsedPreKey_IsKeptUntilWaitingMessagesAreRead(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		old := w.hub.Bundle(w.number, w.account.Device)
		w.choose(old, 1)
		a, b := w.customer(dir+"/a", alice), w.customer(dir+"/b", "+491702222222")
		a.says(w.number, "first")
		w.take()
		check(t, w.brings(carrier.Connected{Resumed: false})) // and nothing says that it has caught up
		elapse(8 * 24 * time.Hour)
		w.choose(old, 1)
		b.says(w.number, "sent last week")
		if got := texts(w.take()); !slices.Equal(got, []string{"sent last week"}) {
			t.Errorf("the business got %q", got)
		}
	})
}

// TestReplay_IsRefused plays a customer's first message again when the
// hash of its ciphertext is gone, and with it everything of the customer.
func TestReplay_IsRefused(t *testing.T) {
	for name, oneTime := range map[string]int{"with a one-time pre-key": 1, "without": 0} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				w.choose(w.hub.Bundle(w.number, w.account.Device), oneTime)
				a := w.customer(dir, alice)
				a.says(w.number, "once")
				first := a.carrier.Last()
				if got := texts(w.take()); !slices.Equal(got, []string{"once"}) {
					t.Fatalf("the business got %q", got)
				}
				a.stop()
				check(t, w.Erase(t.Context(), a.number))
				w.replay(first, message.EventReplayed) // by its hash
				changed := first
				changed.Envelope.IV = slices.Clone(first.Envelope.IV)
				changed.Envelope.IV[0] ^= 1
				w.replay(changed, message.EventUndecryptable) // by its base key
				for range 2 {
					w.stop()
					elapse(25 * time.Hour)
					w.start()
				}
				// The epoch in which it came dies, as the janitor would have it.
				live := w.ring.Live()
				w.ring.Forget(live[len(live)-1].ID)
				_, err := w.store.Sweep(t.Context(), live[len(live)-1].Created)
				check(t, err)
				w.replay(first, message.EventUndecryptable)
			})
		})
	}
}

// replay plays a message again and wants nothing of it to reach the business but that
// something happened.
func (w *world) replay(m carrier.Message, want message.Event) {
	w.t.Helper()
	before := w.Count(want)
	m.Time = time.Now()
	check(w.t, w.brings(m))
	if got := texts(w.take()); len(got) != 0 || w.Count(want) != before+1 {
		w.t.Errorf("the business got %q; %d came to %s", got, w.Count(want)-before, want)
	}
}

func TestPreKeyID_OfAKeptKeyIsNotReused(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		old := w.hub.Bundle(w.number, w.account.Device)
		a := w.customer(dir, alice)
		a.says(w.number, "first")
		w.take()
		a.stop()
		b := w.customer(t.TempDir(), "+491702222222")
		// All ids have been used: they begin at the first again.
		check(t, w.store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.PutSetting("next-prekey", binary.BigEndian.AppendUint32(nil, old.PreKeys[0].ID))
		}))
		b.says(w.number, "second")
		w.take()
		keys := map[uint32]string{}
		for _, k := range old.PreKeys {
			keys[k.ID] = string(k.Public)
		}
		now := w.hub.Bundle(w.number, w.account.Device).PreKeys
		for _, k := range now {
			if was, known := keys[k.ID]; known && was != string(k.Public) {
				t.Errorf("two keys have the id %d", k.ID)
			}
		}
		if len(now) != 100 {
			t.Errorf("%d keys are published", len(now))
		}
	})
}
