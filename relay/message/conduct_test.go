package message_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// tries has the business send a text to somebody and says whether it may.
func (w *world) tries(to string) error {
	w.t.Helper()
	_, err := w.AcceptText(context.Background(), message.Text{To: number(w.t, to), Body: "hello"})
	if limit := (*conduct.LimitError)(nil); err != nil && !errors.As(err, &limit) {
		w.t.Fatal(err)
	}
	return err
}

// nth is the number of one of many strangers.
func nth(i int) string { return fmt.Sprintf("+49309%06d", i) }

func limitFirstContacts(w *world) { w.limited = true }

func TestFirstContacts_TooManyAreRefusedAndCustomersAreAnswered(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, limitFirstContacts, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		p.says(w.number, "hello, business")
		w.settle()
		allowed := 0
		for i := range 200 {
			if w.tries(nth(i)) == nil {
				allowed++
			}
		}
		if allowed != 125 {
			t.Errorf("%d strangers at once, want 125", allowed)
		}
		if err := w.tries(nth(0)); err != nil {
			t.Errorf("who was written to before: %v", err)
		}
		if err := w.tries("+4930111111"); err != nil {
			t.Errorf("who wrote: %v", err)
		}
		for i := range 60 {
			_ = w.tries(nth(1000 + i))
		}
		if err := w.tries(nth(0)); err == nil {
			t.Error("a business that is held may write to those who never wrote")
		}
		if err := w.tries("+4930111111"); err != nil {
			t.Errorf("who wrote, while the business is held: %v", err)
		}
		check(t, w.KeepConduct(context.Background(), true))
		w.stop()
		w.start()
		if s := w.book.Signals(time.Now()); s.State != conduct.Held || s.FirstContacts != int64(allowed) {
			t.Errorf("after a restart: %+v", s)
		}
		_, err := w.AcceptText(context.Background(), message.Text{To: number(t, "+4930111111"), Body: "still here"})
		check(t, err)
	})
}

func TestFirstContacts_ACrashForgetsNone(t *testing.T) {
	inBubbleWith(t, limitFirstContacts, func(t *testing.T, w *world) {
		for i := range 50 {
			check(t, w.tries(nth(i)))
		}
		w.stop() // without keeping the counts
		w.start()
		if got := w.book.Signals(time.Now()).FirstContacts; got < 50 || got > 54 {
			t.Errorf("after 50 first contacts and a crash, %d are known", got)
		}
	})
}

// An upgrade must not hold a business for what it did before: nothing was kept of its conduct then.
func TestFirstContacts_ABusinessWithCustomersBeginsInATierThatFits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for i := range 300 {
			check(t, w.tries(nth(i)))
		}
		w.stop()
		w.limited = true
		w.start()
		if s := w.book.Signals(time.Now()); s.Tier != "TIER_2K" || s.State != conduct.Free {
			t.Errorf("with 300 customers it begins with %+v", s)
		}
		for i := range 500 {
			check(t, w.tries(nth(1000+i)))
		}
	})
}

func TestFirstContacts_WhatIsNotStoredDoesNotCount(t *testing.T) {
	var fail atomic.Bool
	prepare := func(w *world) {
		w.limited = true
		w.wrap = func(s message.Store) message.Store { return failing{s, &fail} }
	}
	inBubbleWith(t, prepare, func(t *testing.T, w *world) {
		check(t, w.tries(nth(1)))
		w.settle()
		fail.Store(true)
		for i := range 300 {
			if _, err := w.AcceptText(context.Background(), message.Text{To: number(t, nth(10+i)), Body: "hello"}); !errors.Is(err, errNoCommit) {
				t.Fatal(err)
			}
		}
		fail.Store(false)
		if got := w.book.Signals(time.Now()).FirstContacts; got != 1 {
			t.Errorf("%d first contacts, want the one that was stored", got)
		}
	})
}

var errNoCommit = errors.New("the commit failed")

// failing is a store whose commits fail while it is told so.
type failing struct {
	message.Store
	fail *atomic.Bool
}

func (f failing) Update(ctx context.Context, fn func(*store.Tx) error) error {
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		err := fn(tx)
		if err == nil && f.fail.Load() {
			return errNoCommit
		}
		return err
	})
}

// A commit that fails is tried again: what it is about counts once.
func TestConduct_ADeclineThatIsStoredLateCountsOnce(t *testing.T) {
	dir := t.TempDir()
	var fail atomic.Bool
	prepare := func(w *world) { w.wrap = func(s message.Store) message.Store { return failing{s, &fail} } }
	inBubbleWith(t, prepare, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		w.hide(p)
		w.says(p.number, "good morning")
		w.settle()
		declined := []carrier.Event{carrier.ContactAnswer{Peer: p.number, State: carrier.ContactNone}}
		fail.Store(true)
		for range 5 {
			if err := w.Receive(context.Background(), declined); !errors.Is(err, errNoCommit) {
				t.Fatal(err)
			}
		}
		fail.Store(false)
		check(t, w.Receive(context.Background(), declined))
		w.settle()
		if s := w.book.Signals(time.Now()); s.Blocks != 1 || s.Undelivered != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Quality is about the business, and not about what a restoration of its relay ended.
func TestConduct_WhatARestorationEndsDoesNotCount(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		w.hide(p)
		id := w.says(p.number, "good morning")
		w.settle()
		check(t, w.Restored(context.Background(), w.store.DropRatchets))
		if s := w.book.Signals(time.Now()); s.Undelivered != 0 {
			t.Errorf("%+v", s)
		}
		w.stop()
		w.start()
		if why := failure(t, w.take(), id); !strings.Contains(why, "restored") {
			t.Errorf("the message failed because %s", why)
		}
	})
}

func TestConduct_DeliveriesAndReportsAreCounted(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		p.says(w.number, "hello, business")
		w.settle()
		w.says(p.number, "hello, customer")
		w.says(number(t, "+4930999999"), "is anybody there?")
		w.settle()
		for range 3 { // the carrier sends it again after each link
			check(t, w.Receive(context.Background(), []carrier.Event{carrier.Report{ID: "one"}}))
		}
		check(t, w.Receive(context.Background(), []carrier.Event{carrier.Report{ID: "two"}}))
		s := w.book.Signals(time.Now())
		if s.Delivered != 1 || s.Undelivered != 1 || s.SpamReports != 2 || s.FirstContacts != 1 || s.Reached != 2 {
			t.Errorf("%+v", s)
		}
		check(t, w.Block(context.Background(), []message.BlockedUser{{Number: p.number}}))
		w.says(p.number, "to somebody whom the business blocked")
		w.settle()
		if again := w.book.Signals(time.Now()); again.Undelivered != 1 || again.Blocks != 0 {
			t.Errorf("the business's own block list counts against it: %+v", again)
		}
	})
}
