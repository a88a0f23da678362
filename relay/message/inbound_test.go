package message_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

func TestReplay_OfACiphertextIsDropped(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "once")
		again := a.carrier.Last()
		again.ID = "another stanza"
		check(t, w.brings(again))
		w.take()
		check(t, w.brings(again))
		if got := w.take(); len(got) != 0 {
			t.Errorf("a replay became %+v", got)
		}
		if w.Count(message.EventReceived) != 1 || w.Count(message.EventReplayed) != 2 {
			t.Errorf("counted %d received, %d replayed", w.Count(message.EventReceived), w.Count(message.EventReplayed))
		}
	})
}

func TestUndecryptable_IsReportedAndTheSessionRepaired(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "fine")
		w.take()
		w.tamper(func(m carrier.Message) carrier.Message {
			m.Envelope.Keys = slices.Clone(m.Envelope.Keys)
			data := slices.Clone(m.Envelope.Keys[0].Data)
			data[len(data)-1] ^= 1 // the MAC
			m.Envelope.Keys[0].Data = data
			return m
		})
		a.says(w.number, "damaged")
		w.tamper(nil)
		events := w.take()
		if len(events) != 1 || events[0].Type != "unsupported" || events[0].Code != 131051 || events[0].Text != "" {
			t.Fatalf("the business got %+v", events)
		}
		if w.Count(message.EventRepaired) != 1 {
			t.Error("no new session was offered")
		}
		a.says(w.number, "fine again")
		id := w.says(a.number, "good")
		events = w.take()
		if got := texts(events); !slices.Equal(got, []string{"fine again"}) {
			t.Errorf("the business got %q", got)
		}
		if got := statuses(events, id); len(got) != 3 {
			t.Errorf("statuses are %q", got)
		}
	})
}

func TestMessage_NotForUsIsReportedAndOurKeysPublishedAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.hub.Change(func() { delete(w.hub.Lists, w.number) })
		m := a.carrier.Last()
		m.Envelope.Keys = []carrier.Key{{Device: 1, Data: []byte{1}}}
		check(t, w.brings(m))
		if got := w.take(); len(got) != 1 || got[0].Code != 131051 {
			t.Errorf("the business got %+v", got)
		}
		if got := w.hub.Devices(w.number); !slices.Equal(got, []carrier.DeviceID{4711}) {
			t.Errorf("our device list is %v", got)
		}
	})
}

func TestMessagesOlderThanTheRetentionAreRefused(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		age := retention + time.Minute
		w.tamper(func(m carrier.Message) carrier.Message {
			m.Time = time.Now().Add(-age)
			return m
		})
		a.says(w.number, "long ago")
		if got := w.take(); len(got) != 0 || w.Count(message.EventTooOld) != 1 {
			t.Errorf("the business got %+v", got)
		}
		w.hub.Change(func() { age = retention - time.Minute })
		a.says(w.number, "just in time")
		if got := texts(w.take()); !slices.Equal(got, []string{"just in time"}) {
			t.Errorf("the business got %q", got)
		}
	})
}

func TestForeignDevice_OnOurAccountIsRemovedAndCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		foreign := []carrier.DeviceID{4711, 666}
		w.hub.Change(func() { w.hub.Lists[w.number] = foreign })
		check(t, w.brings(carrier.OwnDeviceList{Devices: foreign}))
		w.take()
		if got := w.hub.Devices(w.number); !slices.Equal(got, []carrier.DeviceID{4711}) {
			t.Errorf("our device list is %v", got)
		}
		if w.Count(message.EventForeignDevice) != 1 {
			t.Error("the foreign device was not counted")
		}
	})
}

func TestUsedPreKey_IsReplaced(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		before := w.hub.Bundle(w.number, 4711).PreKeys
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		after := w.hub.Bundle(w.number, 4711).PreKeys
		if len(before) != 100 || len(after) != 100 || before[99].ID == after[99].ID {
			t.Errorf("%d keys before, the last %d; %d after, the last %d", len(before), before[99].ID, len(after), after[99].ID)
		}
	})
}

func TestSignedPreKey_ChangesEachWeekAndTheOldOneStillOpens(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		old := w.hub.Bundle(w.number, 4711)
		elapse(8 * 24 * time.Hour)
		fresh := w.hub.Bundle(w.number, 4711)
		if old.SignedPreKey.ID == fresh.SignedPreKey.ID {
			t.Fatal("the signed pre-key is still the same")
		}
		w.hub.Change(func() { w.hub.Bundles[w.number][4711] = old })
		a := w.customer(dir, alice)
		a.says(w.number, "my client fetched your keys last week")
		if got := texts(w.take()); len(got) != 1 {
			t.Errorf("the business got %q", got)
		}
	})
}

func TestOldSignedPreKeysAreKeptForTheRetentionAndNoLonger(t *testing.T) {
	racing.SkipExhaustive(t)
	inBubble(t, func(t *testing.T, w *world) {
		const week, retention = 7 * 24 * time.Hour, 2 * 24 * time.Hour
		w.stop()
		w.retention = retention
		w.start()
		elapse(3*week + 12*time.Hour)
		check(t, w.store.View(t.Context(), func(tx *store.Tx) error {
			keys, err := tx.SignedPreKeys()
			check(t, err)
			oldest := time.Now()
			for _, k := range keys {
				if k.Created.Before(oldest) {
					oldest = k.Created
				}
			}
			age := time.Since(oldest)
			if age < retention || age > retention+week+2*time.Hour || len(keys) != 2 {
				t.Errorf("%d keys, the oldest of %v", len(keys), age)
			}
			return nil
		}))
	})
}

func TestOurDeviceAndSessionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "before")
		w.take()
		w.stop()
		a.says(w.number, "meanwhile")
		w.start()
		a.says(w.number, "after")
		w.says(a.number, "here again")
		if got := texts(w.take()); !slices.Equal(got, []string{"meanwhile", "after"}) {
			t.Errorf("the business got %q", got)
		}
		if got := a.got(); !slices.Equal(got, []string{"here again"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestFirstUseTrust_LaterDeviceIsRefused(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.account.Trust = omemo.FirstUse
		a := w.customer(first, alice)
		a.says(w.number, "my phone")
		if got := texts(w.take()); len(got) != 1 {
			t.Fatalf("the first device was refused: %q", got)
		}
		a.stop()
		b := w.customer(second, alice)
		b.says(w.number, "my second phone, or the carrier's")
		events := w.take()
		if len(events) != 2 || events[0].Type != "system" || events[1].Type != "unsupported" || w.Count(message.EventUntrusted) == 0 {
			t.Errorf("the business got %+v", events)
		}
		id := w.says(a.number, "for the first device only")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) {
			t.Errorf("statuses are %q", got)
		}
		listed := w.hub.Devices(a.number)
		check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: listed[len(listed)-1:]})) // without the first
		id = w.says(a.number, "for nobody")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"failed"}) {
			t.Errorf("statuses are %q", got)
		}
		if got := b.got(); len(got) != 0 {
			t.Errorf("the second device got %q", got)
		}
	})
}

func TestBlindTrust_LaterDeviceIsAcceptedAndCounted(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(first, alice)
		a.says(w.number, "my phone")
		w.take()
		a.stop()
		b := w.customer(second, alice)
		b.says(w.number, "my new phone")
		if got := texts(w.take()); !slices.Equal(got, []string{"my new phone"}) {
			t.Errorf("the business got %q", got)
		}
		w.says(b.number, "congratulations")
		w.take()
		if got := b.got(); !slices.Equal(got, []string{"congratulations"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

// TestDeviceList_UnchangedKeepsNobody: carriers send every list again
// whenever a link comes up, which is no sign of life of the customers.
func TestDeviceList_UnchangedKeepsNobody(t *testing.T) {
	for what, want := range map[string]struct {
		more []carrier.DeviceID
		kept bool
	}{
		"the same list":     {nil, false},
		"a list with a new": {[]carrier.DeviceID{31337}, true},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				a.says(w.number, "good-bye")
				w.take()
				a.stop()
				w.stop()
				elapse(25 * time.Hour)
				w.start()
				check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: append(w.hub.Devices(a.number), want.more...)}))
				kept := w.outlives(a.number)
				if kept != want.kept {
					t.Errorf("the customer outlives the older epoch: %v, want %v", kept, want.kept)
				}
			})
		})
	}
}

// outlives lets the older of two epochs die, as the janitor would have it, and says
// whether a customer is known after that.
func (w *world) outlives(n phone.Number) bool {
	w.t.Helper()
	live := w.ring.Live()
	if len(live) != 2 {
		w.t.Fatalf("%d epochs live, want 2", len(live))
	}
	w.ring.Forget(live[1].ID)
	err := w.store.View(w.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Customer(n)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

// TestReplay_KeepsNobody: reading the carrier's archive once more brings what was read
// before, which is no sign of life of the customers.
func TestReplay_KeepsNobody(t *testing.T) {
	for what, again := range map[string]func(t *testing.T, w *world, m carrier.Message, r carrier.Receipt) error{
		"a message": func(t *testing.T, w *world, m carrier.Message, _ carrier.Receipt) error {
			return w.brings(m)
		},
		"its key in another message": func(t *testing.T, w *world, m carrier.Message, _ carrier.Receipt) error {
			m.Envelope.Payload = append([]byte{1}, m.Envelope.Payload...)
			return w.brings(m)
		},
		"a read marker": func(t *testing.T, w *world, _ carrier.Message, r carrier.Receipt) error {
			return w.brings(r)
		},
		"a receipt": func(t *testing.T, w *world, _ carrier.Message, r carrier.Receipt) error {
			r.Kind = carrier.Delivered
			return w.brings(r)
		},
		"an error": func(t *testing.T, w *world, _ carrier.Message, r carrier.Receipt) error {
			return w.brings(carrier.Bounce{To: r.From, ID: r.ID, Temporary: true})
		},
		"somebody else's marker": func(t *testing.T, w *world, _ carrier.Message, r carrier.Receipt) error {
			r.From = number(t, "+491703333333")
			return w.brings(r)
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				a.says(w.number, "hello")
				w.take()
				w.says(a.number, "good-bye")
				a.says(w.number, "good-bye")
				w.take()
				sent := w.carrier.Texts()
				m, r := a.carrier.Last(), carrier.Receipt{From: a.number, ID: sent[len(sent)-1].ID, Kind: carrier.Read}
				a.stop()
				w.stop()
				elapse(25 * time.Hour)
				w.start()
				check(t, again(t, w, m, r))
				if w.outlives(a.number) {
					t.Error("the customer outlives the older epoch")
				}
			})
		})
	}
}
