package message_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestTextsKeepTheirOrderBothWays(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		var want []string
		for i := range 30 {
			want = append(want, fmt.Sprintf("number %d of thirty", i))
			w.says(a.number, want[i])
			a.says(w.number, want[i])
		}
		if got := texts(w.take()); !slices.Equal(got, want) {
			t.Errorf("the business got %q", got)
		}
		if got := a.got(); !slices.Equal(got, want) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestCustomer_WithoutAccountOrDeviceIsUndeliverable(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		id := w.says(number(t, alice), "hello?")
		events := w.take()
		if len(events) != 1 || events[0].ID != id || events[0].Status != "failed" || events[0].Code != 131026 {
			t.Errorf("the business got %+v, want failed with 131026", events)
		}
	})
}

func TestReadMarker_CoversNothingThatWasAcceptedLater(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted = true })
		a := w.customer(dir, alice)
		ids := map[string]string{}
		for _, text := range []string{"one", "two", "three"} { // in the same millisecond
			ids[text] = w.says(a.number, text)
		}
		w.take()
		check(t, w.brings(carrier.Receipt{From: a.number, ID: w.carrier.Texts()[1].ID, Kind: carrier.Read}))
		events := w.take()
		for text, want := range map[string]bool{"one": true, "two": true, "three": false} {
			if got := slices.Contains(statuses(events, ids[text]), "read"); got != want {
				t.Errorf("%s was read: %v", text, got)
			}
		}
	})
}

func TestDeviceList_MissingIsAnsweredAtTheDeviceThatWrote(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.HideOthers()
		a.says(w.number, "my client publishes nothing")
		w.take()
		id := w.says(a.number, "never mind")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}

func TestLostLink_UnconfirmedMessageIsSentAgainWithTheSameBytes(t *testing.T) {
	for _, delivered := range []bool{false, true} {
		t.Run(fmt.Sprintf("delivered all the same: %v", delivered), func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				w.says(a.number, "first")
				w.take()
				w.carrier.Fail(delivered, carrier.ErrUnconfirmed, carrier.ErrOffline)
				id := w.says(a.number, "second")
				w.says(a.number, "third")
				events := w.take()
				if got := a.got(); !slices.Equal(got, []string{"first", "second", "third"}) {
					t.Errorf("the customer got %q", got)
				}
				if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
					t.Errorf("statuses are %q", got)
				}
				sent := w.carrier.Texts()
				for _, o := range sent[1 : len(sent)-1] {
					if o.ID != sent[1].ID || !slices.Equal(o.Envelope.Payload, sent[1].Envelope.Payload) || !slices.Equal(o.Envelope.Keys[0].Data, sent[1].Envelope.Keys[0].Data) {
						t.Error("the second message went out in two versions")
					}
				}
			})
		})
	}
}

func TestBounce_FailsTheMessageUnlessItArrived(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted, w.hub.Silent = true, true })
		a := w.customer(dir, alice)
		id := w.says(a.number, "comes back")
		w.take()
		stanza := w.carrier.Texts()[0].ID
		check(t, w.brings(carrier.Bounce{To: number(t, "+491702222222"), ID: stanza}))
		check(t, w.brings(carrier.Bounce{To: a.number, ID: "some other stanza"}))
		if got := w.take(); len(got) != 0 {
			t.Errorf("a stranger's bounce became %+v", got)
		}
		check(t, w.brings(carrier.Bounce{To: a.number, ID: stanza}))
		if got := w.take(); len(got) != 1 || got[0].ID != id || got[0].Status != "failed" || got[0].Code != 131026 {
			t.Errorf("a bounce became %+v", got)
		}
		id = w.says(a.number, "arrives at one of two devices")
		w.take()
		stanza = w.carrier.Texts()[1].ID
		check(t, w.brings(carrier.Receipt{From: a.number, ID: stanza, Kind: carrier.Delivered}))
		check(t, w.brings(carrier.Bounce{To: a.number, ID: stanza}))
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"delivered"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}

func TestReadMarker_CoversEarlierMessagesAndComesFromTheRecipientOnly(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted, w.hub.Silent = true, true })
		a := w.customer(dir, alice)
		var ids []string
		for _, text := range []string{"one", "two", "three"} {
			ids = append(ids, w.says(a.number, text))
			w.take()
		}
		second := w.carrier.Texts()[1].ID
		check(t, w.brings(carrier.Receipt{From: number(t, "+491702222222"), ID: second, Kind: carrier.Read}))
		if got := w.take(); len(got) != 0 {
			t.Errorf("a stranger's receipt became %+v", got)
		}
		check(t, w.brings(carrier.Receipt{From: a.number, ID: second, Kind: carrier.Read}))
		check(t, w.brings(carrier.Receipt{From: a.number, ID: second, Kind: carrier.Delivered}))
		events := w.take()
		for i, want := range [][]string{{"delivered", "read"}, {"delivered", "read"}, nil} {
			if got := statuses(events, ids[i]); !slices.Equal(got, want) {
				t.Errorf("statuses of message %d are %q, want %q", i+1, got, want)
			}
		}
	})
}

func TestReceipt_OvertakingTheCarrierStillTellsSentFirst(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Fail(true, carrier.ErrUnconfirmed)
		id := w.says(a.number, "fast")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}

func TestMarkingAsReadTellsTheCustomerAndShowsTyping(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a, ctx := w.customer(dir, alice), t.Context()
		a.says(w.number, "anybody there?")
		in := w.take()[0]
		check(t, w.MarkRead(ctx, message.Read{ID: in.ID, Typing: true}))
		w.take()
		if len(a.all(customer.Read)) != 1 {
			t.Error("the customer does not see that it was read")
		}
		if !slices.Equal(w.hub.Typed(), []bool{true}) {
			t.Errorf("typing is %v, want shown", w.hub.Typed())
		}
		out := w.says(a.number, "yes")
		w.take()
		if !slices.Equal(w.hub.Typed(), []bool{true, false}) {
			t.Errorf("typing is %v, want ended by the answer", w.hub.Typed())
		}
		check(t, w.MarkRead(ctx, message.Read{ID: in.ID, Typing: true}))
		elapse(30 * time.Second)
		if !slices.Equal(w.hub.Typed(), []bool{true, false, true, false}) {
			t.Errorf("typing is %v, want ended after a while", w.hub.Typed())
		}
		for _, id := range []string{out, "wamid.unknown"} {
			if err := w.MarkRead(ctx, message.Read{ID: id, Typing: false}); !errors.Is(err, message.ErrUnknownMessage) {
				t.Errorf("error %v, want ErrUnknownMessage", err)
			}
		}
	})
}

func TestMessage_UnsentWithinTheRetentionIsDropped(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.stop()
		w.retention = 2 * time.Hour
		w.wire = func(message.Carrier) message.Carrier { return away{} }
		w.start()
		w.says(a.number, "too late")
		elapse(w.retention + time.Hour)
		w.stop()
		w.wire = func(l message.Carrier) message.Carrier { return l }
		w.start()
		w.take()
		if got := a.got(); len(got) != 0 {
			t.Errorf("the customer got %q", got)
		}
	})
}

// away is a link that is down.
type away struct{ message.Carrier }

func (away) PublishBundle(context.Context, carrier.DeviceID, carrier.Bundle) error {
	return carrier.ErrOffline
}

func (away) Devices(context.Context, phone.Number, carrier.Format) ([]carrier.DeviceID, error) {
	return nil, carrier.ErrOffline
}

func TestTyping_IsCountedAndTellsTheBusinessNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		check(t, w.brings(carrier.Typing{From: number(t, alice), Composing: true}))
		check(t, w.brings(carrier.Typing{From: number(t, alice), Composing: false}))
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v", got)
		}
		if n := w.Count(message.EventTyping); n != 1 {
			t.Errorf("counted %d", n)
		}
	})
}

func TestGroup_NotStoredSaysWhyOnce(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.stop()
		c := &crash{}
		w.wrap = func(s message.Store) message.Store { return crashingStore{s, c} }
		w.start()
		w.settle()
		c.mu.Lock()
		c.gone = true
		c.mu.Unlock()
		err := w.brings(slices.Repeat([]carrier.Event{carrier.Receipt{From: a.number, ID: "id", Kind: carrier.Delivered}}, 3)...)
		if !errors.Is(err, errCrashed) || err.Error() != errCrashed.Error() {
			t.Errorf("error %v, want %v", err, errCrashed)
		}
	})
}
