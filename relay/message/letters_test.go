package message_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// letters returns all dead letters.
func (w *world) letters() []message.DeadLetter {
	w.t.Helper()
	var all []message.DeadLetter
	for after := (store.Place{}); ; {
		page, to, err := w.DeadLetters(w.t.Context(), after, 2)
		check(w.t, err)
		all, after = append(all, page...), to
		if len(page) < 2 {
			return all
		}
	}
}

// buries gives everything up that waits for the business.
func (w *world) buries() {
	w.t.Helper()
	synctest.Wait() // an attempt at this moment puts its webhook off
	_, err := w.BuryOverdue(w.t.Context(), time.Now().Add(time.Hour), "the webhook's receiver does not answer")
	check(w.t, err)
}

func TestDeadLetter_IsDeliveredWhenItIsReplayed(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.away = true }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.settle()
		sent := w.says(a.number, "good day")
		w.settle()
		began := time.Now()
		elapse(time.Minute)
		w.buries()
		dead := w.letters()
		if len(dead) != 4 { // the message, and sent, delivered and read
			t.Fatalf("%d dead letters: %+v", len(dead), dead)
		}
		if n, since, err := message.Queue(w.store, message.QueueDead).Waiting(t.Context(), time.Now()); n != 4 || !since.Equal(dead[0].Died) || err != nil {
			t.Errorf("%d wait since %v, %v, want those since the first died, %v", n, since, err, dead[0].Died)
		}
		for _, l := range dead {
			if l.Died.Sub(began) < time.Minute || l.Created.After(began) || l.Message == "" || l.Failure != "the webhook's receiver does not answer" {
				t.Errorf("%+v", l)
			}
		}
		for _, e := range w.sentByID(sent).Events {
			if e.Webhook != message.WebhookFailed {
				t.Errorf("%+v, want that its webhook failed", e)
			}
		}
		w.stop()
		w.back()
		w.start()
		if got := w.take(); len(got) != 0 {
			t.Errorf("%d webhooks are delivered that were given up", len(got))
		}
		if err := w.Replay(t.Context(), []int64{dead[0].ID, dead[0].ID, 4711}); !errors.Is(err, message.ErrUnknownLetter) {
			t.Errorf("an unknown one: %v", err)
		}
		check(t, w.Replay(t.Context(), []int64{dead[0].ID, dead[0].ID}))
		elapse(2 * time.Minute)
		if got := w.take(); len(got) != 1 || got[0].Text != "hello" || got[0].ID != dead[0].Message {
			t.Errorf("%+v, want the message", got)
		}
		n, err := w.ReplayAll(t.Context())
		check(t, err)
		elapse(2 * time.Minute)
		if got := statuses(w.take(), sent); n != 3 || len(got) != 3 || len(w.letters()) != 0 {
			t.Errorf("%d replayed, %q delivered, %d left", n, got, len(w.letters()))
		}
	})
}

// A replayed webhook is tried as long as a new one, and may be given up again.
func TestDeadLetter_ReplayedIsTriedAnew(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.away = true }, func(t *testing.T, w *world) {
		w.customer(dir, alice).says(w.number, "hello")
		w.settle()
		elapse(time.Minute)
		w.buries()
		_, err := w.ReplayAll(t.Context())
		check(t, err)
		n, err := w.BuryOverdue(t.Context(), time.Now().Add(-time.Second), "")
		check(t, err)
		if n != 0 || len(w.letters()) != 0 {
			t.Error("it is given up at once")
		}
		elapse(time.Minute)
		w.buries()
		if len(w.letters()) != 1 {
			t.Fatal("it is not given up again")
		}
		w.back()
		_, err = w.ReplayAll(t.Context())
		check(t, err)
		elapse(2 * time.Minute)
		if got := w.take(); len(got) != 1 || got[0].Text != "hello" {
			t.Errorf("%+v, want the message", got)
		}
	})
}

func TestDeadLetter_GoesWithThePersonAndWithTheRetention(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.away = true }, func(t *testing.T, w *world) {
		a, b := w.customer(dir, alice), w.customer(t.TempDir(), bob)
		a.says(w.number, "hello")
		b.says(w.number, "good day")
		w.settle()
		elapse(time.Minute)
		w.buries()
		if n := len(w.letters()); n != 2 {
			t.Fatalf("%d dead letters", n)
		}
		check(t, w.Erase(t.Context(), a.number))
		if n := len(w.letters()); n != 1 {
			t.Errorf("%d dead letters are left of two, one of which was about an erased person", n)
		}
		elapse(31 * 24 * time.Hour)
		_, err := w.store.Sweep(t.Context(), time.Now().Add(-retention))
		check(t, err)
		if n := len(w.letters()); n != 0 {
			t.Errorf("%d dead letters are left after the retention", n)
		}
	})
}
