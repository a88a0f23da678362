package customer_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/carriertest"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// hub is the carrier that customers run on.
type hub struct{ *carriertest.Hub }

// person is a customer that runs on the hub.
type person struct {
	t       *testing.T
	number  phone.Number
	dir     string
	state   *customer.State
	carrier *carriertest.Carrier
	*customer.Customer
	events chan customer.Event
	stop   func()
}

func number(t *testing.T, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	check(t, err)
	return n
}

// start runs a customer on the hub until stop, and waits until it is online.
func (h *hub) start(t *testing.T, dir string, n phone.Number) *person {
	t.Helper()
	state, err := customer.OpenState(dir, n)
	check(t, err)
	p := &person{t: t, number: n, dir: dir, state: state, carrier: h.Carrier(n), events: make(chan customer.Event, 1000)}
	online := make(chan struct{})
	p.Customer = customer.New(customer.Options{State: state, Carrier: p.carrier, OnEvent: func(e customer.Event) {
		if e.Kind == customer.Online { // what waited at the hub may arrive before it
			close(online)
			return
		}
		p.events <- e
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		check(t, <-done)
		check(t, state.Close())
	})
	<-online
	return p
}

// next waits for the next event, which must be of a kind.
func (p *person) next(kind customer.EventKind) customer.Event {
	p.t.Helper()
	select {
	case e := <-p.events:
		if e.Kind != kind {
			p.t.Fatalf("event %q, want %q", e.Kind, kind)
		}
		return e
	case <-time.After(time.Hour): // of the bubble's clock
		p.t.Fatalf("no event, want %q", kind)
		return customer.Event{}
	}
}

// says sends a text and waits until it is shown and its receipts are back.
func (p *person) says(to *person, text string) {
	p.t.Helper()
	id, err := p.Send(p.t.Context(), to.number, text)
	check(p.t, err)
	if got := to.next(customer.Received); got.Text != text || got.Peer != p.number {
		p.t.Errorf("received %q, want %q", got.Text, text)
	}
	for _, kind := range []customer.EventKind{customer.Delivered, customer.Read} {
		if e := p.next(kind); e.ID != id {
			p.t.Errorf("%s names another message", kind)
		}
	}
}

// inBubble runs a test whose clock stands still while anything is under way.
func inBubble(t *testing.T, test func(t *testing.T, h *hub, alice, bob *person)) {
	aliceDir, bobDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &hub{carriertest.NewHub()}
		alice, bob := h.start(t, aliceDir, number(t, "+491701111111")), h.start(t, bobDir, number(t, "+49302222222"))
		test(t, h, alice, bob)
		alice.stop()
		bob.stop()
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
