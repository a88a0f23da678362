package dataplane_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// person is a customer with an account at the carrier.
type person struct {
	*customer.Customer
	t        *testing.T
	number   phone.Number
	dir      string // of its state
	password string // of its account
	stop     func()

	mu     sync.Mutex // guards the following fields
	events []customer.Event
}

// newPerson makes a customer that is online until the test's end.
func newPerson(t *testing.T) *person {
	t.Helper()
	n, err := phone.Parse(shared.number())
	check(t, err)
	p := &person{t: t, number: n, dir: t.TempDir()}
	p.start("phone")
	return p
}

// another returns a second device of the same account, online until the test's end.
func (p *person) another(resource string) *person {
	p.t.Helper()
	d := &person{t: p.t, number: p.number, dir: p.t.TempDir(), password: p.password}
	d.start(resource)
	return d
}

// start brings the device online, until stop or the test's end.
func (p *person) start(resource string) {
	p.t.Helper()
	t := p.t
	state, err := customer.OpenState(p.dir, p.number)
	check(t, err)
	if p.password == "" {
		_, p.password = state.Account()
	}
	link, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: p.number, Domain: shared.prosody.Domain, Address: shared.prosody.Addr, CABundle: shared.prosody.CAPEM, Password: p.password, Resource: resource},
		Registration: xmpp.Open,
	})
	check(t, err)
	web, err := media.NewCarrier(media.Carrier{Domain: shared.prosody.Domain, Address: shared.prosody.Addr, CABundle: shared.prosody.CAPEM, OneHost: true})
	check(t, err)
	p.events = nil
	p.Customer = customer.New(customer.Options{State: state, Carrier: link, Web: web, OnEvent: func(e customer.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events = append(p.events, e)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		check(t, <-done)
		web.Close()
		check(t, state.Close())
	})
	t.Cleanup(p.stop)
	eventually(t, "the customer is online", func() bool { return p.has(func(e customer.Event) bool { return e.Kind == customer.Online }) })
}

func (p *person) has(f func(customer.Event) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.events, f)
}

// says writes to a business.
func (p *person) says(b *business, text string) string {
	p.t.Helper()
	b.hidden = append(b.hidden, text, p.number.Digits())
	to, err := phone.Parse(b.number)
	check(p.t, err)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	id, err := p.Send(ctx, to, text)
	check(p.t, err)
	return id
}

// sees waits until a text arrived, and says how often it did.
func (p *person) sees(text string) (times int) {
	p.t.Helper()
	received := func(e customer.Event) bool { return e.Kind == customer.Received && e.Text == text }
	eventually(p.t, "a business's text at the customer", func() bool { return p.has(received) })
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if received(e) {
			times++
		}
	}
	return times
}

// learns waits for a receipt for a message.
func (p *person) learns(kind customer.EventKind, id string) {
	p.t.Helper()
	eventually(p.t, "receipt "+string(kind)+" at the customer", func() bool {
		return p.has(func(e customer.Event) bool { return e.Kind == kind && e.ID == id })
	})
}
