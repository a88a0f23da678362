package stream

import (
	"errors"
	"math"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

func TestAcknowledgementsSettleInOrderAcrossTheWrap(t *testing.T) {
	m := management{confirmed: math.MaxUint32 - 1}
	waits := make([]chan error, 4)
	for i := range waits {
		waits[i] = make(chan error, 1)
		m.add(&sent{waiters: []chan error{waits[i]}})
	}
	if n, err := m.confirm(1); n != 3 || err != nil { // 2^32-1, 0, 1
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
	if len(waits[3]) != 0 || len(m.unconfirmed) != 1 {
		t.Error("the last stanza is settled before its time")
	}
	for _, h := range []uint32{0, 3, math.MaxUint32} {
		if _, err := m.confirm(h); !errors.Is(err, errBadCount) {
			t.Errorf("count %d: error %v", h, err)
		}
	}
	if n, err := m.confirm(1); n != 0 || err != nil {
		t.Errorf("the same count again settled %d, error %v", n, err)
	}
}

func TestMessageAcknowledgedTooLateIsRememberedOnce(t *testing.T) {
	var m management
	wait := make(chan error, 1)
	m.add(&sent{key: "k", waiters: []chan error{wait}})
	if m.find("k") == nil || m.find("other") != nil {
		t.Error("finds the wrong stanza")
	}
	m.giveUp(carrier.ErrUnconfirmed)
	if err := <-wait; !errors.Is(err, carrier.ErrUnconfirmed) {
		t.Errorf("gave up with %v", err)
	}
	if _, err := m.confirm(1); err != nil {
		t.Fatal(err)
	}
	if !m.wasLate("k") || m.wasLate("k") {
		t.Error("remembered not once")
	}
	for i := range 3 * maxUnconfirmed {
		m.addLate(string(rune('a' + i%26)))
	}
	if len(m.late) > maxUnconfirmed {
		t.Errorf("remembers %d", len(m.late))
	}
}

func TestResetTellsAllWhoWait(t *testing.T) {
	var m management
	m.handled = 5
	a, b := make(chan error, 1), make(chan error, 1)
	m.add(&sent{waiters: []chan error{a, b}})
	m.reset(carrier.ErrUnconfirmed)
	if !errors.Is(<-a, carrier.ErrUnconfirmed) || !errors.Is(<-b, carrier.ErrUnconfirmed) || m.handled != 0 || len(m.unconfirmed) != 0 {
		t.Error("a reset left something behind")
	}
}
