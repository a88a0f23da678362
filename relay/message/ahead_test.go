package message_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// slowLink holds what is sent until it is opened, or lets single ones through.
type slowLink struct {
	message.Carrier
	gate chan struct{}
}

func (l *slowLink) open() { close(l.gate) }

// pass lets the next one through.
func (l *slowLink) pass() {
	l.gate <- struct{}{}
	synctest.Wait()
}

func (l *slowLink) Send(ctx context.Context, o carrier.Outgoing) error {
	select {
	case <-l.gate:
		return l.Carrier.Send(ctx, o)
	case <-ctx.Done():
		return carrier.ErrOffline
	}
}

// onSlowLink runs a test with a customer whom the business knows, while nothing that is sent to them arrives
// before the link is opened.
func onSlowLink(t *testing.T, test func(t *testing.T, w *world, a *person, l *slowLink)) {
	dir := t.TempDir()
	l := &slowLink{gate: make(chan struct{})}
	inBubbleWith(t, func(w *world) {
		w.wire = func(c message.Carrier) message.Carrier {
			l.Carrier, l.gate = c, make(chan struct{})
			l.open()
			return l
		}
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.says(a.number, "hello to you")
		w.take()
		l.gate = make(chan struct{})
		test(t, w, a, l)
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
	onSlowLink(t, func(t *testing.T, w *world, a *person, l *slowLink) {
		want := []string{"hello to you"}
		for i := range 50 {
			text := fmt.Sprintf("number %d of fifty", i)
			want = append(want, text)
			id := w.says(a.number, text)
			if got := w.encrypted(id); got != (i < 32) {
				t.Errorf("text %d behind others was encrypted: %v", i, got)
			}
		}
		l.open()
		w.take()
		if got := a.got(); !slices.Equal(got, want) {
			t.Errorf("the customer got %q", got)
		}
	})
}

// What waits behind a text that is encrypted in its turn is encrypted with it, as far as it is of the same kind, and what is
// accepted then, too.
func TestAhead_IsCaughtUpWith(t *testing.T) {
	onSlowLink(t, func(t *testing.T, w *world, a *person, l *slowLink) {
		want, ids := []string{"hello to you"}, []string{}
		say := func(text string) {
			want = append(want, text)
			ids = append(ids, w.says(a.number, text))
		}
		for i := range 60 { // of which 32 are encrypted at once
			say(fmt.Sprintf("number %d of sixty", i))
		}
		for range 32 {
			l.pass()
		}
		for i, id := range ids[32:] { // the first of them is being sent
			if got := w.encrypted(id); got != (i <= 16) {
				t.Errorf("text %d behind others was encrypted: %v", 32+i, got)
			}
		}
		for range 20 {
			l.pass()
		}
		say("it has caught up")
		if !w.encrypted(ids[60]) {
			t.Error("a text behind nothing but encrypted ones was not encrypted")
		}
		l.open()
		events := w.take()
		if got := a.got(); !slices.Equal(got, want) {
			t.Errorf("the customer got %q", got)
		}
		for _, id := range ids {
			if got := statuses(events, id); !slices.Contains(got, "delivered") {
				t.Errorf("statuses are %q", got)
			}
		}
		if unread := a.all(customer.Unreadable); len(unread) > 0 {
			t.Errorf("%d could not be opened: %v", len(unread), unread[0].Err)
		}
	})
}

// What is not a plain text keeps what is behind it from being encrypted before it.
func TestAhead_EndsAtWhatIsNoPlainText(t *testing.T) {
	onSlowLink(t, func(t *testing.T, w *world, a *person, l *slowLink) {
		var first []string
		for i := range 33 {
			first = append(first, w.says(a.number, fmt.Sprintf("number %d", i)))
		}
		reply, err := w.AcceptText(t.Context(), message.Text{To: a.number, Body: "about the first", ReplyTo: first[0]})
		check(t, err)
		last := w.says(a.number, "and the last")
		for range 32 {
			l.pass()
		}
		if !w.encrypted(first[32]) || w.encrypted(reply) || w.encrypted(last) {
			t.Error("it was not encrypted up to the reply")
		}
		l.open()
		w.take()
		if got := a.got(); len(got) != 36 || got[35] != "and the last" {
			t.Errorf("the customer got %q", got)
		}
	})
}

// A ciphertext belongs to a turn of its session, and clients keep the keys of few former turns: what was encrypted before
// others, and is sent after them, could not be opened if the customer answers each of those.
func TestAhead_NothingIsEncryptedBeforeWhatIsSentBeforeIt(t *testing.T) {
	onSlowLink(t, func(t *testing.T, w *world, a *person, l *slowLink) {
		want := []string{"hello to you"}
		for i := range 56 {
			want = append(want, fmt.Sprintf("number %d of many", i))
			w.says(a.number, want[len(want)-1])
		}
		for range 26 {
			l.pass()
		}
		last := w.says(a.number, "and the last")
		if w.encrypted(last) {
			t.Error("it was encrypted before those that were accepted before it")
		}
		for i, text := range want {
			for !slices.Contains(a.got(), text) {
				l.pass()
			}
			if i > 32 {
				a.says(w.number, fmt.Sprintf("answer %d", i))
				synctest.Wait()
			}
		}
		l.open()
		w.take()
		if got := a.got(); !slices.Equal(got, append(want, "and the last")) {
			t.Errorf("the customer got %q", got)
		}
		if unread := a.all(customer.Unreadable); len(unread) > 0 {
			t.Errorf("%d could not be opened: %v", len(unread), unread[0].Err)
		}
	})
}

// What was encrypted is sent by the next process as it is.
func TestAhead_OutlivesARestart(t *testing.T) {
	onSlowLink(t, func(t *testing.T, w *world, a *person, _ *slowLink) {
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
			onSlowLink(t, func(t *testing.T, w *world, a *person, l *slowLink) {
				w.says(a.number, "on its way")
				w.settle()
				if id := w.says(a.number, "waits"); !w.encrypted(id) {
					t.Error("it was not encrypted")
				}
				check(t, end(w, a))
				l.open()
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
