package message_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
)

// states are those that a message came into.
func states(s message.Sent) (all []string) {
	for _, e := range s.Events {
		all = append(all, e.State)
	}
	return all
}

func (w *world) sentByID(id string) message.Sent {
	w.t.Helper()
	s, err := w.SentByID(w.t.Context(), id)
	check(w.t, err)
	return s
}

// counted is what was sent and delivered since the beginning.
func (w *world) counted() (sent, delivered int64) {
	w.t.Helper()
	counts, err := w.SentCounts(w.t.Context(), time.Unix(0, 0), time.Now().Add(time.Hour))
	check(w.t, err)
	for _, c := range counts {
		sent, delivered = sent+c.Sent, delivered+c.Delivered
	}
	return sent, delivered
}

func TestHistory_SaysWhatTheBusinessWasTold(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		began := time.Now()
		read := w.says(a.number, "read")
		w.settle()
		w.hub.Change(func() { w.hub.Muted = true })
		sent := w.says(a.number, "sent only")
		failed := w.says(number(t, bob), "to nobody")
		w.settle()
		reaction, err := w.AcceptReaction(t.Context(), message.Reaction{To: a.number, About: read, Emoji: "👍"})
		check(t, err)
		w.settle()
		for id, want := range map[string][]string{
			read: {"sent", "delivered", "read"}, sent: {"sent"}, failed: {"failed"}, reaction: {"sent"},
		} {
			s := w.sentByID(id)
			if got := states(s); !slices.Equal(got, want) {
				t.Errorf("states are %q, want %q", got, want)
			}
			for _, e := range s.Events {
				if e.Webhook != message.WebhookDelivered || e.At.Before(began.Truncate(time.Millisecond)) || e.At.After(time.Now()) || (e.Failure == "") == (e.State == "failed") {
					t.Errorf("%+v", e)
				}
			}
			again, err := w.SentAt(t.Context(), s.Place)
			check(t, err)
			if again.ID != id {
				t.Error("another message is at its place")
			}
		}
		if s, d := w.counted(); s != 3 || d != 1 {
			t.Errorf("%d sent, %d delivered; want 3 and 1", s, d)
		}
		a.says(w.number, "the customer's own is not in it")
		w.settle()
		page, err := w.SentMessages(t.Context(), message.SentQuery{Limit: 10})
		check(t, err)
		var ids []string
		for _, m := range page.Sent {
			ids = append(ids, m.ID)
		}
		if want := []string{reaction, failed, sent, read}; !slices.Equal(ids, want) || page.More {
			t.Errorf("the page has %d messages, want four, the youngest first", len(ids))
		}
	})
}

func TestHistory_SaysWhetherTheWebhookWaits(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.away = true }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		id := w.says(a.number, "hello")
		w.settle()
		for _, e := range w.sentByID(id).Events {
			if e.Webhook != message.WebhookPending {
				t.Errorf("%+v; want that it waits", e)
			}
		}
		w.back()
		w.settle()
		for _, e := range w.sentByID(id).Events {
			if e.Webhook != message.WebhookDelivered {
				t.Errorf("%+v; want that it was delivered", e)
			}
		}
		elapse(8 * 24 * time.Hour) // after which it might have been dropped
		for _, e := range w.sentByID(id).Events {
			if e.Webhook != "" {
				t.Errorf("%+v; want that nothing is known", e)
			}
		}
	})
}

func TestHistory_GoesWithThePerson(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		id := w.says(a.number, "hello")
		w.settle()
		check(t, w.Erase(t.Context(), a.number))
		if _, err := w.SentByID(t.Context(), id); !errors.Is(err, message.ErrUnknownSent) {
			t.Errorf("it is still known: %v", err)
		}
		if _, err := w.SentAt(t.Context(), 1); !errors.Is(err, message.ErrUnknownSent) {
			t.Errorf("it is still at its place: %v", err)
		}
	})
}

// A receipt that comes twice, or after a read marker, is counted once.
func TestCounts_OnceForEachMessage(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted = true })
		a := w.customer(dir, alice)
		sent := w.says(a.number, "hello")
		w.settle()
		id := w.carrier.Texts()[0].ID
		for _, kind := range []carrier.ReceiptKind{carrier.Read, carrier.Delivered, carrier.Read} {
			check(t, w.brings(carrier.Receipt{From: a.number, ID: id, Kind: kind}))
		}
		w.settle()
		if s, d := w.counted(); s != 1 || d != 1 {
			t.Errorf("%d sent, %d delivered; want one of each", s, d)
		}
		if got := states(w.sentByID(sent)); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("states are %q", got)
		}
	})
}
