package message_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// slowLink holds what is sent until it is opened.
type slowLink struct {
	message.Carrier
	open chan struct{}
}

func (l *slowLink) Send(ctx context.Context, o carrier.Outgoing) error {
	select {
	case <-l.open:
		return l.Carrier.Send(ctx, o)
	case <-ctx.Done():
		return carrier.ErrOffline
	}
}

// onSlowLink runs a test with a customer whom the business knows, while nothing that is sent to them arrives
// before the link is opened.
func onSlowLink(t *testing.T, test func(t *testing.T, w *world, a *person, open func())) {
	dir := t.TempDir()
	l := &slowLink{open: make(chan struct{})}
	inBubbleWith(t, func(w *world) {
		w.wire = func(c message.Carrier) message.Carrier {
			l.Carrier, l.open = c, make(chan struct{})
			close(l.open)
			return l
		}
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.says(a.number, "hello to you")
		w.take()
		l.open = make(chan struct{})
		test(t, w, a, func() { close(l.open) })
	})
}

// encrypted says whether the store has a message's ciphertext.
func (w *world) encrypted(id string) bool {
	w.t.Helper()
	var body record.Content
	check(w.t, w.store.View(w.t.Context(), func(tx *store.Tx) error {
		m, err := tx.Message(id)
		if err != nil {
			return err
		}
		body, err = record.ContentOf(m)
		return err
	}))
	return body.Envelope != nil
}

func TestAhead_TextIsEncryptedWhenItIsAccepted(t *testing.T) {
	onSlowLink(t, func(t *testing.T, w *world, a *person, open func()) {
		want := []string{"hello to you"}
		for i := range 50 {
			text := fmt.Sprintf("number %d of fifty", i)
			want = append(want, text)
			id := w.says(a.number, text)
			if got := w.encrypted(id); got != (i < 32) {
				t.Errorf("text %d behind others was encrypted: %v", i, got)
			}
		}
		open()
		w.take()
		if got := a.got(); !slices.Equal(got, want) {
			t.Errorf("the customer got %q", got)
		}
	})
}

// What was encrypted is sent by the next process as it is.
func TestAhead_OutlivesARestart(t *testing.T) {
	onSlowLink(t, func(t *testing.T, w *world, a *person, _ func()) {
		ids := []string{w.says(a.number, "one"), w.says(a.number, "two")}
		w.stop()
		w.start()
		events := w.take()
		for _, id := range ids {
			if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
				t.Errorf("statuses are %q", got)
			}
		}
		if got := a.got(); !slices.Equal(got, []string{"hello to you", "one", "two"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestAhead_WhoIsErasedOrBlockedMeanwhileGetsNothing(t *testing.T) {
	for name, end := range map[string]func(*world, *person) error{
		"erased":  func(w *world, a *person) error { return w.Erase(w.t.Context(), a.number) },
		"blocked": func(w *world, a *person) error { return w.Block(w.t.Context(), entriesOf(a.number)) },
	} {
		t.Run(name, func(t *testing.T) {
			onSlowLink(t, func(t *testing.T, w *world, a *person, open func()) {
				w.says(a.number, "on its way")
				w.settle()
				if id := w.says(a.number, "waits"); !w.encrypted(id) {
					t.Error("it was not encrypted")
				}
				check(t, end(w, a))
				open()
				w.take()
				if slices.Contains(a.got(), "waits") {
					t.Error("they got what waited")
				}
			})
		})
	}
}

// A device that is announced while the link is away is written to, too.
func TestAhead_NothingIsEncryptedWithoutTheLink(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.hub.Change(func() { w.hub.Reconnects = false })
		w.carrier.Fail(false, carrier.ErrOffline)
		w.says(a.number, "finds that the link is away")
		synctest.Wait()
		if id := w.says(a.number, "waits for it"); w.encrypted(id) {
			t.Error("it was encrypted")
		}
	})
}
