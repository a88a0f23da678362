package soak_test

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// person is a customer with a client of their own, whose keys are in memory.
type person struct {
	*customer.Customer
	number phone.Number
}

// startPeople brings customers online until the test's end. What their clients show is noted in the ledger.
func startPeople(t *testing.T, l *ledger, count int) []*person {
	t.Helper()
	people := make([]*person, count)
	ctx, cancel := context.WithCancel(context.Background())
	var running, starting sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	failed := make(chan error, count)
	places := make(chan struct{}, 16) // that come online at once
	for i := range people {
		number := shared.Number()
		places <- struct{}{}
		starting.Go(func() {
			defer func() { <-places }()
			online := make(chan struct{})
			p, err := newPerson(number, l, sync.OnceFunc(func() { close(online) }))
			if err != nil {
				failed <- err
				return
			}
			people[i] = p
			ended := make(chan error, 1)
			running.Go(func() { ended <- p.Run(ctx) })
			select {
			case <-online:
			case err := <-ended:
				failed <- fmt.Errorf("a customer's client ended: %w", err)
			case <-shared.Interrupted():
				failed <- errors.New("interrupted")
			}
		})
	}
	starting.Wait()
	close(failed)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return people
}

func newPerson(number string, l *ledger, online func()) (*person, error) {
	n, err := phone.Parse(number)
	if err != nil {
		return nil, err
	}
	state, err := customer.NewState(n)
	if err != nil {
		return nil, err
	}
	_, password := state.Account()
	log := slog.New(slog.DiscardHandler)
	domain, addr, ca := shared.prosody.Where()
	link, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: n, Domain: domain, Address: addr, CABundle: ca, Password: password, Resource: "phone"},
		Registration: xmpp.Open, Log: log,
	})
	if err != nil {
		return nil, err
	}
	p := &person{number: n}
	p.Customer = customer.New(customer.Options{State: state, Carrier: link, Domain: domain, Log: log, OnEvent: func(e customer.Event) {
		switch e.Kind {
		case customer.Online:
			online()
		case customer.Received:
			number, err := l.number(e.Text)
			if err != nil {
				l.wrong("a text that the business did not write")
				return
			}
			l.with(func() { l.out.arrive(number, maphash.String(l.seed, e.ID), false) })
		case customer.Unreadable:
			l.wrong(fmt.Sprint("at a customer: unreadable: ", e.Err))
		case customer.Bounced, customer.Plaintext, customer.Reacted:
			l.wrong("at a customer: " + string(e.Kind))
		case customer.Delivered, customer.Read, customer.Typing:
		}
	}})
	return p, nil
}

// write has the person write one message to the business.
func (p *person) write(ctx context.Context, to phone.Number, l *ledger, n int) error {
	l.with(func() { l.in.begin(n) })
	if _, err := p.Send(ctx, to, text(n)); err != nil {
		return errors.Join(errors.New("a customer could not send"), err)
	}
	l.with(func() { l.in.take(n) })
	return nil
}
