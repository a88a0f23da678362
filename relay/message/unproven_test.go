package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// unread are the signs that a customer did not read what began a session.
func unread(w *world, a *person) map[string]func() {
	stanza := w.carrier.Texts()[0].ID
	inClear := 0
	return map[string]func(){
		"an error of the client": func() {
			check(w.t, w.brings(carrier.Receipt{From: a.number, ID: stanza, Kind: carrier.Unreadable}))
		},
		"an answer in clear": func() {
			inClear++
			check(w.t, w.brings(carrier.Unread{ID: string(rune('a' + inClear)), From: a.number, Kind: carrier.InClear, Time: time.Now()}))
		},
	}
}

func TestUnproven_DeliveredIsSentAgainOnASign(t *testing.T) {
	for _, sign := range []string{"an error of the client", "an answer in clear"} {
		t.Run(sign, func(t *testing.T) {
			dir := t.TempDir()
			inBubbleWith(t, func(w *world) { w.mute = true }, func(t *testing.T, w *world) {
				w.hub.Change(func() { w.hub.Muted = true })
				a := w.customer(dir, alice)
				w.settle()
				lostFirst(w)
				id := w.says(a.number, "good morning")
				w.settle()
				first := w.carrier.Texts()[0]
				check(t, w.brings(carrier.Receipt{From: a.number, ID: first.ID, Kind: carrier.Delivered}))
				if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered"}) {
					t.Fatalf("statuses are %q", got)
				}
				elapse(3 * 24 * time.Hour)
				if n := len(w.carrier.Texts()); n != 1 {
					t.Fatalf("without a sign it was sent %d times", n)
				}
				act := unread(w, a)[sign]
				act()
				w.settle()
				act()
				w.settle()
				w.tamper(nil)
				for range 5 {
					act()
					w.settle()
				}
				if got := statuses(w.take(), id); len(got) != 0 {
					t.Errorf("the business was told %q", got)
				}
				sent := w.carrier.Texts()
				if len(sent) != 3 {
					t.Fatalf("it was sent %d times, want 3", len(sent))
				}
				for _, o := range sent[1:] {
					if o.ID != first.ID || !o.Envelope.Keys[0].PreKey || same(o, first) {
						t.Error("it was not sent in a new session under its id")
					}
				}
			})
		})
	}
}

func TestUnproven_SignsAtOnceCountOnce(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.mute = true }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.settle()
		lostFirst(w)
		w.says(a.number, "good morning")
		w.settle()
		stanza := w.carrier.Texts()[0].ID
		w.tamper(nil)
		check(t, w.brings(
			carrier.Receipt{From: a.number, ID: stanza, Kind: carrier.Unreadable},
			carrier.Receipt{From: a.number, ID: stanza, Kind: carrier.Unreadable},
			carrier.Unread{ID: "x", From: a.number, Kind: carrier.InClear, Time: time.Now()},
		))
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"good morning"}) || len(w.carrier.Texts()) != 2 {
			t.Errorf("the customer got %q of %d", got, len(w.carrier.Texts()))
		}
	})
}

func TestUnproven_ASessionOfTheCustomersBringsItAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted = true })
		a := w.customer(dir, alice)
		w.settle()
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == w.number { // the customer cannot read it, and offers a new session
				return spoilt(m)
			}
			return m
		})
		id := w.says(a.number, "good morning")
		for len(w.carrier.Texts()) == 0 {
			elapse(time.Millisecond)
		}
		check(t, w.brings(carrier.Receipt{From: a.number, ID: w.carrier.Texts()[0].ID, Kind: carrier.Delivered}))
		w.settle()
		w.tamper(nil)
		elapse(resendTime)
		if got := statuses(w.take(), id); slices.Contains(got, "failed") || !slices.Contains(got, "delivered") {
			t.Errorf("statuses are %q", got)
		}
		if got := a.got(); !slices.Equal(got, []string{"good morning"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestUnproven_AnAnswerProvesWhatWasSentBefore(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted = true }) // as Gajim's to strangers
		a := w.customer(dir, alice)
		w.settle()
		id := w.says(a.number, "good morning")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered"}) {
			t.Errorf("statuses are %q", got)
		}
		for _, act := range unread(w, a) {
			act()
		}
		elapse(resendTime)
		w.take()
		if n := len(w.carrier.Texts()); n != 2 { // and the notice how to switch encryption on
			t.Errorf("%d were sent, want 2", n)
		}
	})
}
