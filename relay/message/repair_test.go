package message_test

import (
	"context"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestRepairsAreBounded(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		for range 20 {
			check(t, w.brings(unreadableFrom(a)))
		}
		w.take()
		if n := w.Count(message.EventRepaired); n != 1 || w.Refused("unauthenticated") != 20 {
			t.Errorf("%d new sessions were offered at once, for %d messages", n, w.Refused("unauthenticated"))
		}
	})
}

func TestRepairsAreBoundedAmongMessagesThatShareACommit(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		var all []carrier.Event
		for range 20 {
			all = append(all, unreadableFrom(a))
		}
		check(t, w.brings(all...))
		w.take()
		if n := w.Count(message.EventRepaired); n != 1 || w.Refused("unauthenticated") != 20 {
			t.Errorf("%d new sessions were offered at once, for %d messages", n, w.Refused("unauthenticated"))
		}
	})
}

// full is a store whose disk is full now and then.
type full struct {
	message.Store
	now *bool
}

func (f full) Begin(ctx context.Context, fn func(*store.Tx) error) (wait func() error) {
	return f.Store.Begin(ctx, func(tx *store.Tx) error {
		if err := fn(tx); err != nil || !*f.now {
			return err
		}
		return errors.New("disk full")
	})
}

func TestRepair_NotStoredIsOfferedWhenTheMessageComesAgain(t *testing.T) {
	dir := t.TempDir()
	var now bool
	inBubbleWith(t, func(w *world) {
		w.wrap = func(s message.Store) message.Store { return full{s, &now} }
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		m := unreadableFrom(a)
		now = true
		if w.brings(m) == nil {
			t.Error("what is not stored counts as taken")
		}
		now = false
		check(t, w.brings(m))
		w.take()
		if n := w.Count(message.EventRepaired); n != 1 {
			t.Errorf("%d new sessions were offered, want one", n)
		}
	})
}
