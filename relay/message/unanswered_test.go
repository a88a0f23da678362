package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
)

// lostFirst has everything of ours be lost on its way to customers, as it is when they
// have not the pre-key any more: their clients delete it and tell nobody.
func lostFirst(w *world) {
	w.tamper(func(m carrier.Message) carrier.Message {
		if m.From == w.number {
			m.Envelope.Keys = []carrier.Key{{Device: 1, Data: []byte{1}}}
		}
		return m
	})
}

func TestFirstMessage_UnansweredIsSentAgainInANewSession(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.settle()
		lostFirst(w)
		first, second := w.says(a.number, "good morning"), w.says(a.number, "how are you?")
		w.take()
		elapse(5 * time.Minute)
		if n := len(w.carrier.Texts()); n != 2 {
			t.Fatalf("%d were sent, want 2", n)
		}
		w.tamper(nil)
		before := w.carrier.BundleFetches()
		elapse(6 * time.Minute)
		events := w.take()
		if got := a.got(); !slices.Equal(got, []string{"good morning", "how are you?"}) {
			t.Errorf("the customer got %q", got)
		}
		for _, id := range []string{first, second} {
			if got := statuses(events, id); !slices.Contains(got, "delivered") {
				t.Errorf("statuses are %q", got)
			}
		}
		sent := w.carrier.Texts()
		if len(sent) != 4 || sent[0].ID != sent[2].ID || sent[1].ID != sent[3].ID || !sent[2].Envelope.Keys[0].PreKey {
			t.Errorf("%d were sent, want each twice under one id, the first to begin a session", len(sent))
		}
		if got := w.carrier.BundleFetches() - before; got != 1 {
			t.Errorf("%d bundles were fetched, want one for the one session that began", got)
		}
		if w.Count(message.EventResent) != 2 {
			t.Errorf("%d were sent again", w.Count(message.EventResent))
		}
	})
}

func TestFirstMessage_NeverAnsweredIsSentAgainTwice(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.settle()
		lostFirst(w)
		w.says(a.number, "good morning")
		elapse(20 * time.Minute)
		if n := len(w.carrier.Texts()); n != 2 {
			t.Errorf("%d were sent within minutes, want 2", n)
		}
		elapse(5 * 24 * time.Hour)
		if n := len(w.carrier.Texts()); n != 3 {
			t.Errorf("%d were sent, want 3", n)
		}
	})
}

func TestFirstMessage_AnsweredWithoutReceiptIsNotSentAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted = true }) // no receipts to strangers
		a := w.customer(dir, alice)
		w.settle()
		w.says(a.number, "good morning")
		elapse(3 * 24 * time.Hour)
		if n := len(w.carrier.Texts()); n != 1 {
			t.Errorf("%d were sent, want one", n)
		}
	})
}

func TestNewSession_FetchesTheBundleForIt(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.settle()
		for range 3 {
			before := w.carrier.BundleFetches()
			lostFirst(w)
			check(t, w.brings(unknown(a)))
			w.settle()
			if got := w.carrier.BundleFetches() - before; got != 1 {
				t.Errorf("%d bundles were fetched for one session", got)
			}
			elapse(2 * time.Minute)
		}
	})
}

// unknown is a message of a session that we know nothing of.
func unknown(a *person) carrier.Message {
	m := carrier.Message{ID: "a stanza", From: a.number, Time: time.Now()}
	device, _ := a.State.Device()
	data := append([]byte{0x33, 0x0a, 33, 5}, make([]byte, 32)...)
	data[4] = byte(time.Now().UnixNano() / int64(time.Second))
	data = append(data, 0x10, 0, 0x18, 0, 0x22, 16)
	m.Envelope = carrier.Envelope{
		Sender: device, IV: make([]byte, 12), Payload: make([]byte, 20),
		Keys: []carrier.Key{{Device: 4711, Data: append(data, make([]byte, 16+8)...)}},
	}
	return m
}
