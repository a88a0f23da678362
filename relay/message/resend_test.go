package message_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
)

// resendTime is longer than a message waits for receipts before it is sent again.
const resendTime = 2 * time.Minute

// spoilt returns m with a code that does not verify.
func spoilt(m carrier.Message) carrier.Message {
	m.Envelope.Keys = slices.Clone(m.Envelope.Keys)
	for i := range m.Envelope.Keys {
		data := slices.Clone(m.Envelope.Keys[i].Data)
		data[len(data)-1] ^= 1
		m.Envelope.Keys[i].Data = data
	}
	return m
}

func TestResend_UnreadMessagesGoIntoTheNewSession(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		before := w.says(a.number, "read at once")
		w.take()
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == w.number { // the customer's session is of no use any more
				return spoilt(m)
			}
			return m
		})
		first, second := w.says(a.number, "unread"), w.says(a.number, "unread, too")
		w.settle()
		w.tamper(nil)
		elapse(resendTime)
		events := w.take()
		if got := a.got(); !slices.Equal(got, []string{"read at once", "unread", "unread, too"}) {
			t.Fatalf("the customer got %q", got)
		}
		for _, id := range []string{first, second} {
			got := statuses(events, id) // a read marker may overtake the delivery receipt
			if slices.Index(got, "sent") != 0 || !slices.Contains(got, "read") || slices.Contains(got, "failed") {
				t.Errorf("statuses are %q", got)
			}
		}
		if got := statuses(events, before); len(got) != 0 {
			t.Errorf("of what was read before the business got %q", got)
		}
		received := a.all(customer.Received)
		if received[1].ID == received[2].ID || w.Count(message.EventResent) != 2 {
			t.Errorf("%d messages were sent again", w.Count(message.EventResent))
		}
	})
}

func TestResend_SkipsWhatWasSentInTheNewSession(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.hub.Change(func() { w.hub.Muted = true })
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == w.number {
				return spoilt(m)
			}
			return m
		})
		w.says(a.number, "lost")
		w.settle() // the customer begins a new session
		w.tamper(nil)
		w.says(a.number, "in the new session")
		elapse(resendTime)
		w.take()
		times := map[string]int{}
		for _, o := range w.carrier.Texts() {
			times[o.ID]++
		}
		if got := a.got(); !slices.Equal(got, []string{"in the new session", "lost"}) || len(times) != 2 || w.Count(message.EventResent) != 1 {
			t.Errorf("the customer got %q of %v; %d were sent again", got, times, w.Count(message.EventResent))
		}
	})
}

func TestResend_KeepsTheStanzaIDWithANewCiphertext(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.hub.Change(func() { w.hub.Muted = true }) // a client without receipts
		w.says(a.number, "once")
		w.take()
		for range 5 {
			check(t, w.brings(unreadableFrom(a)))
			elapse(resendTime)
		}
		w.take()
		sent := w.carrier.Texts()
		if len(sent) != 3 || sent[0].ID != sent[1].ID || sent[1].ID != sent[2].ID {
			t.Errorf("it was sent %d times, want 3 with one id", len(sent))
		}
		if same(sent[0], sent[1]) || same(sent[1], sent[2]) {
			t.Error("what was lost with a session was sent again in that session")
		}
		if got := a.got(); !slices.Equal(got, []string{"once"}) {
			t.Errorf("the customer was shown %q", got)
		}
	})
}

// unreadableFrom is a message from a device whose session is another than ours: a
// Signal message under a ratchet key that nobody knows.
func unreadableFrom(a *person) carrier.Message {
	m := a.carrier.Last()
	m.ID = "another stanza"
	data := append([]byte{0x33, 0x0a, 33, 5}, make([]byte, 32)...)
	_, _ = rand.Read(data[4:35])
	data = append(data, 0x10, 0, 0x18, 0, 0x22, 16)
	m.Envelope.Keys = []carrier.Key{{Device: 4711, Data: append(data, make([]byte, 16+8)...)}}
	return m
}

func TestResend_SkipsWhatTheCustomerAnswered(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hub.Change(func() { w.hub.Muted = true })
		a.says(w.number, "hello")
		w.take()
		w.says(a.number, "a question")
		w.take()
		a.says(w.number, "an answer")
		w.take()
		check(t, w.brings(unreadableFrom(a)))
		elapse(resendTime)
		w.take()
		if got := w.carrier.Texts(); len(got) != 1 || w.Count(message.EventResent) != 0 {
			t.Errorf("it was sent %d times", len(got))
		}
	})
}
