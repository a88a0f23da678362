package xmpp

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

func TestAcknowledgementsSettleInOrderAcrossTheWrap(t *testing.T) {
	m := management{acked: math.MaxUint32 - 1}
	waits := make([]chan error, 4)
	for i := range waits {
		waits[i] = make(chan error, 1)
		m.push(&sent{waiters: []chan error{waits[i]}})
	}
	if n, err := m.ack(1); n != 3 || err != nil { // 2^32-1, 0, 1
		t.Fatalf("settled %d, error %v", n, err)
	}
	for i, w := range waits[:3] {
		select {
		case err := <-w:
			if err != nil {
				t.Errorf("stanza %d: %v", i, err)
			}
		default:
			t.Errorf("stanza %d is not settled", i)
		}
	}
	if len(waits[3]) != 0 || len(m.unacked) != 1 {
		t.Error("the last stanza is settled before its time")
	}
	for _, h := range []uint32{0, 3, math.MaxUint32} {
		if _, err := m.ack(h); !errors.Is(err, errBadAck) {
			t.Errorf("count %d: error %v", h, err)
		}
	}
	if n, err := m.ack(1); n != 0 || err != nil {
		t.Errorf("the same count again settled %d, error %v", n, err)
	}
}

func TestMessageAcknowledgedTooLateIsRememberedOnce(t *testing.T) {
	var m management
	wait := make(chan error, 1)
	m.push(&sent{key: "k", waiters: []chan error{wait}})
	if m.find("k") == nil || m.find("other") != nil {
		t.Error("finds the wrong stanza")
	}
	m.giveUp(errUnconfirmed)
	if err := <-wait; !errors.Is(err, errUnconfirmed) {
		t.Errorf("gave up with %v", err)
	}
	if _, err := m.ack(1); err != nil {
		t.Fatal(err)
	}
	if !m.take("k") || m.take("k") {
		t.Error("remembered not once")
	}
	for i := range 3 * maxUnacked {
		m.give(string(rune('a' + i%26)))
	}
	if len(m.given) > maxUnacked {
		t.Errorf("remembers %d", len(m.given))
	}
}

func TestResetTellsAllWhoWait(t *testing.T) {
	var m management
	m.handled = 5
	a, b := make(chan error, 1), make(chan error, 1)
	m.push(&sent{waiters: []chan error{a, b}})
	m.reset(errUnconfirmed)
	if !errors.Is(<-a, errUnconfirmed) || !errors.Is(<-b, errUnconfirmed) || m.handled != 0 || len(m.unacked) != 0 {
		t.Error("a reset left something behind")
	}
}

func TestWhatComesBackBeforeItIsAcknowledgedMayBeSentAgain(t *testing.T) {
	s := script(t, nil)
	s.wrote(t, "<presence>")
	o := carrier.Outgoing{ID: "returned", To: xmpptest.Number(t, xmpptest.Customer), Envelope: xmpptest.Envelope(1)}
	sent := make(chan error, 2)
	send := func() { sent <- s.Send(t.Context(), o) }
	times := func(n int) {
		eventually(t, "the message on its way", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return strings.Count(s.seen.String(), "id='returned'") == n
		})
	}
	go send()
	times(1)
	s.says(t, "<message type='error' id='returned' from='"+xmpptest.PeerJID+"'><error type='wait'><resource-constraint xmlns='"+stanza.NSStanzas+"'/></error></message>")
	s.wait(t, "the bounce", func() bool { return len(s.bounced) == 1 })
	go send()
	times(2)
	s.acknowledges(t)
	for range 2 {
		check(t, <-sent)
	}
}
