// Package customers runs customers' own clients (relay/customer) at a real carrier, for
// tests. It must not know what is at the other end.
package customers

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
)

// Carrier is an XMPP server where anybody may register.
type Carrier interface {
	Where() (domain, addr string, ca []byte)
}

// Business is whom a customer writes to.
type Business interface {
	Phone() phone.Number
	// Hide names what only the business and its customers may have.
	Hide(secrets ...string)
}

// Client is one of a customer's devices, with an account at the carrier.
type Client struct {
	*customer.Customer
	Number phone.Number
	Dir    string // of its state
	// Formats are the versions of OMEMO that it speaks; nil means Legacy. A change counts from the next Start.
	Formats []carrier.Format
	// Name is what the customer calls themselves; empty for nothing. A change counts from the next Start.
	Name string

	t        testing.TB
	carrier  Carrier
	link     *xmpp.Carrier
	resource string
	password string // of the account
	shy      bool   // its keys are for contacts alone
	stop     func()

	mu     sync.Mutex // guards the following fields
	events []customer.Event
	on     func(customer.Event) // nil for none
}

// Start makes a customer whose client is online until Stop or the test's end.
func Start(t testing.TB, at Carrier, number string) *Client {
	t.Helper()
	return StartIn(t, at, number)
}

// StartNamed is Start for somebody without a number, at an address of that name.
func StartNamed(t testing.TB, at Carrier, name string) *Client {
	t.Helper()
	n, err := phone.ParseName(name)
	check(t, err)
	c := &Client{Number: n, Dir: t.TempDir(), t: t, carrier: at, resource: "phone"}
	c.Start()
	return c
}

// StartIn is Start with a client that speaks those versions of OMEMO.
func StartIn(t testing.TB, at Carrier, number string, formats ...carrier.Format) *Client {
	t.Helper()
	n, err := phone.Parse(number)
	check(t, err)
	c := &Client{Number: n, Dir: t.TempDir(), Formats: formats, t: t, carrier: at, resource: "phone"}
	c.Start()
	return c
}

// StartShy is Start for a client that shows its keys to contacts alone.
func StartShy(t testing.TB, carrier Carrier, number string) *Client {
	t.Helper()
	n, err := phone.Parse(number)
	check(t, err)
	c := &Client{Number: n, Dir: t.TempDir(), t: t, carrier: carrier, resource: "phone", shy: true}
	c.Start()
	return c
}

// Another returns a further device of the same account, online until Stop or the test's
// end.
func (c *Client) Another(resource string, formats ...carrier.Format) *Client {
	c.t.Helper()
	d := &Client{Number: c.Number, Dir: c.t.TempDir(), Formats: formats, t: c.t, carrier: c.carrier, resource: resource, password: c.password}
	d.Start()
	return d
}

// Start brings a client online again, with the state that is in Dir.
func (c *Client) Start() {
	c.t.Helper()
	state, err := customer.OpenState(c.Dir, c.Number)
	check(c.t, err)
	if c.password == "" {
		_, c.password = state.Account()
	}
	log := slog.New(slog.NewTextHandler(c.t.Output(), nil))
	domain, addr, ca := c.carrier.Where()
	link, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: c.Number, Domain: domain, Address: addr, CABundle: ca, Password: c.password, Resource: c.resource},
		Registration: xmpp.Open, ContactsOnly: c.shy, Profile: xmpp.Profile{Name: c.Name}, Names: !c.Number.HasDigits(), Log: log,
	})
	check(c.t, err)
	c.link = link
	web, err := media.NewCarrier(media.Carrier{Domain: domain, Address: addr, CABundle: ca, OneHost: true})
	check(c.t, err)
	online := make(chan struct{})
	up := sync.OnceFunc(func() { close(online) })
	c.Customer = customer.New(customer.Options{State: state, Carrier: link, Formats: c.Formats, Domain: domain, Web: web, Log: log, OnEvent: func(e customer.Event) {
		if e.Kind == customer.Online {
			up()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.events = append(c.events, e)
		if c.on != nil {
			c.on(e)
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		check(c.t, <-done)
		web.Close()
		check(c.t, state.Close())
	})
	c.t.Cleanup(c.stop)
	select {
	case <-online:
	case <-time.After(await.Patience):
		c.t.Fatalf("the customer does not come online within %s", await.Patience)
	}
}

// Stop ends the client. Stopping it again does nothing.
func (c *Client) Stop() { c.stop() }

// Listen has a function be called for each event from now on. It must not wait for the
// client.
func (c *Client) Listen(on func(customer.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

// JID is the customer's address at the carrier.
func (c *Client) JID() string {
	domain, _, _ := c.carrier.Where()
	return c.Number.Local() + "@" + domain
}

// Count returns how many events fit, among all since the first start.
func (c *Client) Count(fits func(customer.Event) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if fits(e) {
			n++
		}
	}
	return n
}

// Has says whether an event fits.
func (c *Client) Has(fits func(customer.Event) bool) bool { return c.Count(fits) > 0 }

// Wait waits until an event fits.
func (c *Client) Wait(what string, fits func(customer.Event) bool) {
	c.t.Helper()
	await.Until(c.t, what+" at the customer", func() bool { return c.Has(fits) })
}

// Says writes to a business and returns the message's id.
func (c *Client) Says(b Business, text string) string {
	c.t.Helper()
	b.Hide(text, strings.TrimPrefix(c.Number.Local(), "+"))
	ctx, cancel := context.WithTimeout(c.t.Context(), await.Patience)
	defer cancel()
	id, err := c.Send(ctx, b.Phone(), text)
	check(c.t, err)
	return id
}

// SaysAbout is Says for a text that answers or corrects another.
func (c *Client) SaysAbout(b Business, text string, refs carrier.References) string {
	c.t.Helper()
	b.Hide(text)
	ctx, cancel := context.WithTimeout(c.t.Context(), await.Patience)
	defer cancel()
	id, err := c.SendAbout(ctx, b.Phone(), text, refs)
	check(c.t, err)
	return id
}

// Reacts reacts to a message, or with an empty emoji takes the reaction away.
func (c *Client) Reacts(b Business, about, emoji string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), await.Patience)
	defer cancel()
	check(c.t, c.React(ctx, b.Phone(), about, emoji))
}

// AsksForContact asks to be shown the business's presence, which puts this person on its contact
// list.
func (c *Client) AsksForContact(b Business) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), await.Patience)
	defer cancel()
	_, err := c.link.Contact(ctx, b.Phone(), true)
	check(c.t, err)
}

// TakesBack takes back a message of its own: inside the encryption, or in clear if its client cannot.
func (c *Client) TakesBack(b Business, about string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), await.Patience)
	defer cancel()
	err := c.TakeBack(ctx, b.Phone(), about)
	if errors.Is(err, customer.ErrOutside) {
		err = c.link.SendRetraction(ctx, b.Phone(), about)
	}
	check(c.t, err)
}

// Shown waits until a text arrived and returns the event.
func (c *Client) Shown(text string) (found customer.Event) {
	c.t.Helper()
	c.Wait("a text", func(e customer.Event) bool {
		if e.Kind == customer.Received && e.Text == text {
			found = e
		}
		return found.ID != ""
	})
	return found
}

// Sees waits until a text arrived, and returns how often it did.
func (c *Client) Sees(text string) (times int) {
	c.t.Helper()
	received := func(e customer.Event) bool { return e.Kind == customer.Received && e.Text == text }
	c.Wait("a text", received)
	return c.Count(received)
}

// Texts are what the client showed, in order.
func (c *Client) Texts() (texts []string) {
	c.Count(func(e customer.Event) bool {
		if e.Kind == customer.Received {
			texts = append(texts, e.Text)
		}
		return true
	})
	return texts
}

// Learns waits for a receipt for a message.
func (c *Client) Learns(kind customer.EventKind, id string) {
	c.t.Helper()
	c.Wait("receipt "+string(kind), func(e customer.Event) bool { return e.Kind == kind && e.ID == id })
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
