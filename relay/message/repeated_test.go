package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
)

// underOneID has every customer's message come under one stanza id.
func underOneID(w *world) {
	w.tamper(func(m carrier.Message) carrier.Message {
		if m.From != w.number && m.ID != "" {
			m.ID = "a stanza's id"
		}
		return m
	})
}

func TestRepeatedMessage_ReachesTheBusinessOnceAndIsConfirmedAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		underOneID(w)
		for range 3 {
			a.says(w.number, "once")
		}
		if got := texts(w.take()); !slices.Equal(got, []string{"once"}) {
			t.Errorf("the business got %q", got)
		}
		if got := len(a.all(customer.Delivered)); got != 3 {
			t.Errorf("the customer got %d receipts, want 3", got)
		}
		if w.Count(message.EventReceived) != 1 || w.Count(message.EventReplayed) != 2 {
			t.Errorf("counted %d received, %d replayed", w.Count(message.EventReceived), w.Count(message.EventReplayed))
		}
	})
}

func TestStanzaID_ReusedByAClientIsStillHeard(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a, b := w.customer(dir, alice), w.customer(other, "+15550104444")
		underOneID(w)
		for _, text := range []string{"yes", "no", "yes"} {
			a.says(w.number, text)
			w.settle()
		}
		b.says(w.number, "yes")
		if got := texts(w.take()); !slices.Equal(got, []string{"yes", "no", "yes", "yes"}) {
			t.Errorf("the business got %q", got)
		}
	})
}

func TestUndecryptable_IsTakenWhenItIsSentAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.tamper(func(m carrier.Message) carrier.Message {
			m.ID = "a stanza's id"
			return spoilt(m)
		})
		a.says(w.number, "at last")
		w.settle()
		underOneID(w)
		a.says(w.number, "at last")
		if got := texts(w.take()); !slices.Equal(got, []string{"at last"}) {
			t.Errorf("the business got %q", got)
		}
	})
}

func TestRepeatedFile_ReachesTheBusinessOnce(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		text := a.hands(upload, picture()).Text()
		underOneID(w)
		a.says(w.number, text)
		if got := w.take(); len(got) != 1 || got[0].Type != "image" {
			t.Fatalf("the business got %+v", got)
		}
		a.says(w.number, text)
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v as well", got)
		}
		a.says(w.number, a.hands(upload+"2", picture()).Text())
		if got := w.take(); len(got) != 1 {
			t.Errorf("of another file the business got %+v", got)
		}
	})
}

// TestRepeatedText_OnAnotherDayIsNoCopy: Psi+ counts its stanza ids from the same
// beginning after each start.
func TestRepeatedText_OnAnotherDayIsNoCopy(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		underOneID(w)
		link := a.hands(upload, picture()).Text()
		for range 3 {
			a.says(w.number, "ok")
			a.says(w.number, link)
			if got := w.take(); len(got) != 2 {
				t.Errorf("the business got %+v", got)
			}
			elapse(24 * time.Hour)
		}
	})
}

// TestRepeatedText_UnderAnotherDataKeyIsACopy: the first copy may be the last thing that is written under a key.
func TestRepeatedText_UnderAnotherDataKeyIsACopy(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		underOneID(w)
		a.says(w.number, "hello")
		elapse(25 * time.Hour) // that session is not new any more, and the next key is due
		a.says(w.number, "once")
		keys := len(w.ring.Live())
		check(t, w.store.Advance(t.Context()))
		if n := len(w.ring.Live()); n != keys+1 {
			t.Errorf("%d keys, want one more than %d", n, keys)
		}
		a.says(w.number, "once")
		if got := texts(w.take()); !slices.Equal(got, []string{"hello", "once"}) {
			t.Errorf("the business got %q", got)
		}
	})
}

func TestRepeatedText_InANewSessionIsACopyHoweverLate(t *testing.T) {
	for name, renew := range map[string]func(*testing.T, *world, *person){
		"which the client began": func(t *testing.T, w *world, a *person) {
			w.tamper(spoilt)
			w.says(a.number, "what the client cannot read")
			elapse(time.Millisecond)
			w.tamper(nil)
			w.settle()
		},
		"which our repair offered": func(t *testing.T, w *world, a *person) {
			w.tamper(spoilt)
			a.says(w.number, "spoilt")
			w.tamper(nil)
			w.settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				underOneID(w)
				a.says(w.number, "once")
				elapse(24 * time.Hour)
				renew(t, w, a)
				underOneID(w)
				a.says(w.number, "once")
				a.says(w.number, "and more")
				if got := texts(w.take()); !slices.Equal(got, []string{"once", "and more"}) {
					t.Errorf("the business got %q", got)
				}
			})
		})
	}
}

// TestStanzaID_UsedByTwoCustomersIsTwoMessages: what one sends again is known though
// another customer used the id since.
func TestStanzaID_UsedByTwoCustomersIsTwoMessages(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a, b := w.customer(dir, alice), w.customer(other, "+15550104444")
		underOneID(w)
		a.says(w.number, "from a")
		b.says(w.number, "from b")
		w.settle()
		a.says(w.number, "from a")
		if got := slices.Sorted(slices.Values(texts(w.take()))); !slices.Equal(got, []string{"from a", "from b"}) { // in any order
			t.Errorf("the business got %q", got)
		}
	})
}
