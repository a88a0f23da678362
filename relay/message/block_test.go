package message_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/carriertest"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// blockList is a carrier's, in memory.
type blockList struct {
	*carriertest.Carrier

	mu   sync.Mutex // guards the following fields
	away bool
	none bool // the carrier keeps no such list
	list []phone.Number
}

// lock guards the list until what it returns is called.
func (b *blockList) lock() func() { b.mu.Lock(); return b.mu.Unlock }

func (b *blockList) goes(away bool) {
	defer b.lock()()
	b.away = away
}

// entriesOf are entries of numbers.
func entriesOf(numbers ...phone.Number) []message.BlockedUser {
	var entries []message.BlockedUser
	for _, n := range numbers {
		entries = append(entries, message.BlockedUser{Number: n})
	}
	return entries
}

func (b *blockList) Blocked(context.Context) ([]phone.Number, error) {
	defer b.lock()()
	if b.away {
		return nil, carrier.ErrOffline
	}
	if b.none {
		return nil, carrier.ErrNotFound
	}
	return slices.Clone(b.list), nil
}

func (b *blockList) Block(_ context.Context, n []phone.Number) error {
	defer b.lock()()
	b.list = append(b.list, n...)
	return nil
}

func (b *blockList) Unblock(_ context.Context, n []phone.Number) error {
	defer b.lock()()
	b.list = slices.DeleteFunc(b.list, func(o phone.Number) bool { return slices.Contains(n, o) })
	return nil
}

func TestBlockedCustomer_IsNeitherHeardNorWrittenTo(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "before")
		w.take()
		check(t, w.Block(t.Context(), entriesOf(a.number)))
		check(t, w.Block(t.Context(), entriesOf(a.number)))
		a.says(w.number, "meanwhile")
		id := w.says(a.number, "to nobody")
		events := w.take()
		if len(events) != 1 || events[0].ID != id || events[0].Status != "failed" || events[0].Code != 131026 {
			t.Errorf("the business got %+v", events)
		}
		if len(a.got()) != 0 || w.Count(message.EventBlocked) != 1 {
			t.Errorf("the customer got %q, counted %d", a.got(), w.Count(message.EventBlocked))
		}
		w.stop()
		w.start() // the list is the store's
		if got, err := w.Blocked(t.Context()); err != nil || !slices.Equal(got, entriesOf(a.number)) {
			t.Errorf("%d are blocked: %v", len(got), err)
		}
		check(t, w.Unblock(t.Context(), []phone.Number{a.number}))
		a.says(w.number, "after")
		if got := texts(w.take()); !slices.Equal(got, []string{"after"}) {
			t.Errorf("the business got %q", got)
		}
	})
}

func TestBlockList_CarriersIsMadeEqualToOurs(t *testing.T) {
	one, two, three := number(t, "+491701111111"), number(t, "+491702222222"), number(t, "+491703333333")
	var theirs *blockList
	inBubbleWith(t, func(w *world) {
		w.wire = func(l message.Carrier) message.Carrier {
			theirs = &blockList{Carrier: w.carrier, list: []phone.Number{three}}
			return theirs
		}
	}, func(t *testing.T, w *world) {
		check(t, w.Block(t.Context(), entriesOf(one, two)))
		w.settle()
		if !slices.Equal(theirs.list, []phone.Number{one, two}) {
			t.Errorf("the carrier blocks %d", len(theirs.list))
		}
		theirs.goes(true)
		check(t, w.Unblock(t.Context(), []phone.Number{one}))
		w.settle()
		theirs.goes(false)
		check(t, w.brings(carrier.Connected{Resumed: false}))
		w.settle()
		if !slices.Equal(theirs.list, []phone.Number{two}) {
			t.Errorf("after it was away, the carrier blocks %d", len(theirs.list))
		}
	})
}

func TestBlockList_IsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		many := make([]phone.Number, 0, message.MaxBlocked)
		for i := range message.MaxBlocked {
			many = append(many, number(t, "+1555"+pad(i)))
		}
		check(t, w.Block(t.Context(), entriesOf(many...)))
		err := w.Block(t.Context(), entriesOf(number(t, alice)))
		if !errors.Is(err, message.ErrBlockListFull) {
			t.Errorf("one more is %v", err)
		}
		if got, err := w.Blocked(t.Context()); err != nil || !slices.Equal(got, entriesOf(many...)) {
			t.Errorf("%d are blocked: %v", len(got), err)
		}
	})
}

// pad writes a number with seven digits.
func pad(n int) string {
	b := []byte("0000000")
	for i := len(b) - 1; n > 0; i-- {
		b[i] += byte(n % 10)
		n /= 10
	}
	return string(b)
}
