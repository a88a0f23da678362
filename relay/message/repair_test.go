package message_test

import (
	"context"
	"errors"
	"slices"
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

// A customer who writes much and gets no answer gets a message without content, which lets their client
// make new keys.
func TestHeartbeat_GoesToACustomerWhomNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		empty := 0
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == w.number && m.Envelope.Payload == nil {
				empty++
			}
			return m
		})
		for name, f := range map[string]carrier.Format{"+491701111111": carrier.Legacy, "+491702222222": carrier.OMEMO2} {
			p := w.customerIn(dir+"/"+name, name, f)
			p.says(w.number, "hello")
			w.take()
			before := empty // one completed the session
			for range 60 {
				p.says(w.number, "are you there?")
			}
			w.take()
			if got := empty - before; got != 1 {
				t.Errorf("format %d: %d messages without content went out, want 1", f, got)
			}
			p.says(w.number, "anybody?")
			if got := texts(w.take()); !slices.Equal(got, []string{"anybody?"}) {
				t.Errorf("format %d: afterwards the business got %q", f, got)
			}
		}
	})
}
