package message_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// hide makes a customer's client show its keys only to contacts.
func (w *world) hide(p *person) {
	w.hub.Change(func() { w.hub.Hidden[p.number] = true })
}

// failure returns the details of the only error of a message's failure.
func failure(t *testing.T, events []event, id string) string {
	t.Helper()
	for _, e := range events {
		if e.ID == id && e.Status == "failed" && e.Code == 131026 {
			return e.Details
		}
	}
	t.Fatalf("the message did not fail with 131026: %+v", events)
	return ""
}

// lists wants one request to be listed, to a customer, and their messages to say why they wait.
func (w *world) lists(p *person, waiting int, declined bool) {
	w.t.Helper()
	open, err := w.ContactRequests(w.t.Context(), 0, 10)
	if err != nil || len(open) != 1 || open[0].Number != p.number || open[0].Waiting != waiting || open[0].Declined.IsZero() == declined {
		w.t.Errorf("%+v are listed, error %v", open, err)
	}
	kept, err := w.Person(w.t.Context(), p.number, "", 10)
	check(w.t, err)
	said := 0
	for _, m := range kept.Messages {
		if strings.Contains(m.Detail, "contact request") {
			said++
		}
	}
	if said != waiting {
		w.t.Errorf("%d of %d messages say why they wait", said, waiting)
	}
}

func TestContact_IsNotAskedWhileTheKeysAreOpen(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.says(a.number, "good morning")
		a.says(w.number, "hello")
		w.take()
		if n := w.carrier.Requests(); n != 0 || len(a.got()) != 1 {
			t.Errorf("%d requests for %d messages", n, len(a.got()))
		}
	})
}

func TestContact_MessagesWaitForItAndKeepTheirOrder(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hide(a)
		want := []string{"first", "second", "third"}
		for _, text := range want {
			w.says(a.number, text)
		}
		elapse(2 * 24 * time.Hour)
		if got := w.take(); len(got) != 0 || w.carrier.Requests() != 1 || len(a.got()) != 0 {
			t.Fatalf("%d requests; meanwhile the business got %+v", w.carrier.Requests(), got)
		}
		w.lists(a, 3, false)
		w.hub.Answer(w.number, a.number, carrier.ContactAllowed, false)
		w.says(a.number, "fourth")
		w.take()
		if got := a.got(); !slices.Equal(got, append(want, "fourth")) {
			t.Errorf("the customer got %q", got)
		}
		w.says(a.number, "fifth")
		w.take()
		if got := a.got(); len(got) != 5 || w.carrier.Requests() != 1 {
			t.Errorf("the customer got %q; %d requests", got, w.carrier.Requests())
		}
		if open, err := w.ContactRequests(t.Context(), 0, 10); err != nil || len(open) != 0 {
			t.Errorf("afterwards %+v are listed, error %v", open, err)
		}
	})
}

// Earlier relays asked everybody, and some have not answered.
func TestContact_RequestOfAnEarlierRelayIsNotRepeated(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hide(a)
		w.hub.Answer(w.number, a.number, carrier.ContactAsked, true)
		w.says(a.number, "good morning")
		if got := w.take(); len(got) != 0 || w.carrier.Requests() != 0 {
			t.Errorf("%d requests; the business got %+v", w.carrier.Requests(), got)
		}
		w.lists(a, 1, false)
		w.hub.Answer(w.number, a.number, carrier.ContactAllowed, false)
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"good morning"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestContact_AnswerWithoutALinkCountsWithTheNextOne(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hide(a)
		w.says(a.number, "good morning")
		w.settle()
		w.hub.Answer(w.number, a.number, carrier.ContactAllowed, true)
		w.settle()
		if len(a.got()) != 0 {
			t.Fatal("it was sent before anybody could know the answer")
		}
		w.stop()
		w.start()
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"good morning"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestContact_DeclinedFailsAtOnceAndIsNotAskedAgainForAWeek(t *testing.T) {
	for name, silently := range map[string]bool{"while there is a link": false, "without a link": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				w.hide(a)
				first := w.says(a.number, "good morning")
				w.settle()
				w.hub.Answer(w.number, a.number, carrier.ContactNone, silently)
				if silently {
					w.stop()
					w.start()
				}
				if why := failure(t, w.take(), first); !strings.Contains(why, "declined") {
					t.Errorf("the business was told %q", why)
				}
				second := w.says(a.number, "are you there?")
				if why := failure(t, w.take(), second); !strings.Contains(why, "declined") || w.carrier.Requests() > 1 {
					t.Errorf("the business was told %q after %d requests", why, w.carrier.Requests())
				}
				w.lists(a, 0, true)
				before := w.carrier.Requests()
				elapse(8 * 24 * time.Hour)
				w.says(a.number, "may we?")
				if got := w.take(); len(got) != 0 || w.carrier.Requests() != before+1 {
					t.Errorf("a week later: %+v after %d requests", got, w.carrier.Requests()-before)
				}
			})
		})
	}
}

func TestContact_UnansweredFailsAfterThreeDays(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hide(a)
		first := w.says(a.number, "good morning")
		elapse(2 * 24 * time.Hour)
		second := w.says(a.number, "good evening")
		w.take()
		elapse(24*time.Hour + time.Minute)
		events := w.take()
		if why := failure(t, events, first); !strings.Contains(why, "has not answered") {
			t.Errorf("the business was told %q", why)
		}
		if len(statuses(events, second)) != 0 {
			t.Error("a later message failed with it")
		}
		elapse(2 * 24 * time.Hour)
		failure(t, w.take(), second)
		if n := w.carrier.Requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestContact_CustomerWhoWritesNeedsNone(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hide(a)
		w.says(a.number, "good morning")
		w.settle()
		a.says(w.number, "hello")
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"good morning"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestContact_KeysThatBecomePublicAreFoundWithTheNextMessage(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hide(a)
		w.says(a.number, "first")
		w.settle()
		w.says(a.number, "second")
		w.settle()
		w.hub.Change(func() { delete(w.hub.Hidden, a.number) })
		w.says(a.number, "third")
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"first", "second", "third"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestContact_NobodyIsAskedWithoutAnAccount(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n := number(t, alice)
		w.hub.Change(func() { w.hub.Hidden[n] = true })
		id := w.says(n, "hello?")
		if why := failure(t, w.take(), id); !strings.Contains(why, "no account") {
			t.Errorf("the business was told %q", why)
		}
	})
}
