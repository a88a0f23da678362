package message_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

var errCrashed = errors.New("the process is gone")

// crash ends a relay's process, as it sees it, at its nth step that has an effect
// outside of memory: just before that effect, or just after it.
type crash struct {
	mu    sync.Mutex // guards the following fields
	left  int        // steps until the crash
	after bool
	gone  bool
}

// step runs one step with an effect.
func (c *crash) step(effect func() error) error {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return errCrashed
	}
	c.left--
	c.gone = c.left == 0
	now, before := c.gone, c.gone && !c.after
	c.mu.Unlock()
	if before {
		return errCrashed
	}
	err := effect()
	if now {
		return errCrashed
	}
	return err
}

func (c *crash) happened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// crashingStore is a store within a process that crashes.
type crashingStore struct {
	message.Store
	*crash
}

func (s crashingStore) Update(ctx context.Context, fn func(*store.Tx) error) error {
	return s.step(func() error { return s.Store.Update(ctx, fn) })
}

func (s crashingStore) UpdateLate(ctx context.Context, fn func(*store.Tx) error) error {
	return s.step(func() error { return s.Store.UpdateLate(ctx, fn) })
}

func (s crashingStore) Shrink(ctx context.Context, fn func(*store.Tx) error) error {
	return s.step(func() error { return s.Store.Shrink(ctx, fn) })
}

func (s crashingStore) Begin(ctx context.Context, fn func(*store.Tx) error) func() error {
	var outcome func() error
	before := s.step(func() error {
		outcome = s.Store.Begin(ctx, fn)
		return nil
	})
	return func() error {
		if outcome == nil {
			return before
		}
		return errors.Join(outcome(), before)
	}
}

func (s crashingStore) View(ctx context.Context, fn func(*store.Tx) error) error {
	if s.happened() {
		return errCrashed
	}
	return s.Store.View(ctx, fn)
}

func (s crashingStore) Lately(id string) (store.Message, bool) {
	if s.happened() {
		return store.Message{}, false
	}
	return s.Store.Lately(id)
}

func (s crashingStore) StateLately(id string) (string, bool) {
	if s.happened() {
		return "", false
	}
	return s.Store.StateLately(id)
}

func (s crashingStore) CustomerLately(id store.CustomerID) (store.Customer, bool) {
	if s.happened() {
		return store.Customer{}, false
	}
	return s.Store.CustomerLately(id)
}

// crashingLink is a link within a process that crashes.
type crashingLink struct {
	message.Carrier
	*crash
}

func (l crashingLink) Send(ctx context.Context, o carrier.Outgoing) error {
	return l.step(func() error { return l.Carrier.Send(ctx, o) })
}

// TestCrash_LosesAndDoublesNothing crashes the relay at each of its writes
// and sends in turn, before and after it took effect, starts it again on what it
// left, and looks that both sides have every message once.
func TestCrash_LosesAndDoublesNothing(t *testing.T) {
	eachCrash(t, crashAt)
}

// crashes says where a relay crashes.
type crashes struct {
	step      int
	after     bool // the step took effect
	noStorage bool // content is in memory only
}

// eachCrash crashes at each step in turn, with and without storage, until at says that it did not come to it.
func eachCrash(t *testing.T, at func(*testing.T, crashes) bool) {
	racing.SkipExhaustive(t)
	for _, c := range []crashes{{}, {after: true}, {noStorage: true}, {noStorage: true, after: true}} {
		steps := 0
		for c.step = 1; ; c.step++ {
			crashed := false
			t.Run(fmt.Sprintf("at step %d, after its effect: %v, without storage: %v", c.step, c.after, c.noStorage), func(t *testing.T) {
				crashed = at(t, c)
			})
			if !crashed || t.Failed() {
				break
			}
			steps = c.step
		}
		if steps < 25 {
			t.Errorf("only %d steps were crashed at", steps)
		}
	}
}

// crashAt runs a conversation with a crash and says whether it came to it.
func crashAt(t *testing.T, at crashes) (crashed bool) {
	dir, relayDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := &crash{left: at.step, after: at.after}
		w := newWorld(t, relayDir)
		w.noStorage = at.noStorage
		w.wrap = func(s message.Store) message.Store { return crashingStore{s, c} }
		w.wire = func(l message.Carrier) message.Carrier { return crashingLink{l, c} }
		w.start()
		a := w.customer(dir, alice)
		told := map[string]string{} // ids of accepted texts
		refused := converse(t, w, a, told)
		events := w.take()
		crashed = c.happened()
		w.stop()
		w.wrap = func(s message.Store) message.Store { return s }
		w.wire = func(l message.Carrier) message.Carrier { return l }
		w.start()
		for _, text := range refused { // the business tries again what was not accepted
			told[text] = w.says(a.number, text)
		}
		w.tellLost()
		events = append(events, w.take()...)
		if at.noStorage {
			everythingTold(t, w, a, events, told, refused)
		} else {
			everythingOnce(t, w, a, events, told, refused)
		}
		w.stop()
	})
	return crashed
}

// converse has both sides write and returns what the relay did not accept.
func converse(t *testing.T, w *world, a *person, told map[string]string) (refused []string) {
	for _, text := range []string{"from customer, first", "from customer, second"} {
		a.trySay(w.number, text)
		w.settle()
	}
	for _, text := range []string{"from business, first", "from business, second"} {
		id, err := w.AcceptText(t.Context(), message.Text{To: a.number, Body: text})
		if err != nil {
			refused = append(refused, text)
			continue
		}
		told[text] = id
	}
	return refused
}

// everythingOnce looks at what both sides have in the end.
func everythingOnce(t *testing.T, w *world, a *person, events []event, told map[string]string, refused []string) {
	t.Helper()
	ids := map[string]string{} // webhooks may come twice, with the same id
	for _, e := range events {
		if e.Type != "" {
			ids[e.ID] = e.Text
		}
	}
	var in []string
	for _, text := range ids {
		in = append(in, text)
	}
	slices.Sort(in)
	if want := []string{"from customer, first", "from customer, second"}; !slices.Equal(in, want) {
		t.Errorf("the business has %q", in)
	}
	matched := w.matched(a, events)
	for id, stanza := range matched.arrived {
		if ids[id] != a.said[stanza] {
			t.Errorf("the business has %q as what the client knows as %q", ids[id], a.said[stanza])
		}
	}
	if len(matched.lost) > 0 {
		t.Errorf("with storage %+v were told as lost", matched.lost)
	}
	everyReactionIsMatched(t, w, a, told, refused)
	count := map[string]int{}
	for _, text := range a.got() {
		count[text]++
	}
	for text, id := range told {
		// What was written but not accepted in time may be there twice: only the
		// business can tell.
		if n := count[text]; n < 1 || n > 1 && !slices.Contains(refused, text) {
			t.Errorf("the customer has %q %d times", text, n)
		}
		got := statuses(events, id) // a read marker may overtake the delivery receipt
		if slices.Index(got, "sent") != 0 || !slices.Contains(got, "read") || slices.Contains(got, "failed") {
			t.Errorf("statuses of %q are %q", text, got)
		}
	}
	if n := len(a.all(customer.Unreadable)); n > 0 {
		t.Errorf("%d messages were unreadable to the customer", n)
	}
	if got, want := a.receipts(), slices.Sorted(maps.Keys(a.said)); !slices.Equal(got, want) {
		t.Errorf("the client has delivery receipts for %q, want %q", got, want)
	}
}
