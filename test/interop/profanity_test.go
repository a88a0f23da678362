package interop_test

import (
	"context"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/interop/profanity"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

const (
	goNumber        = "+4930111111"
	profanityNumber = "+491702222222"
	strangerNumber  = "+491704444444"
	password        = "correct horse battery staple"
	// patience bounds each step of a test.
	patience = await.Patience
)

// start runs our own client as a number until the test ends. It must be able to read
// everything that it gets.
func start(t *testing.T, server server, number string) *customers.Client {
	t.Helper()
	c := customers.Start(t, server, number)
	t.Cleanup(func() {
		n := c.Count(func(e customer.Event) bool { return e.Kind == customer.Unreadable || e.Kind == customer.Plaintext })
		if n > 0 {
			t.Errorf("%d messages were unreadable or not encrypted", n)
		}
	})
	return c
}

// write sends a text and returns its id. Until the recipient's keys can be read, which
// takes two strangers a moment, it tries again.
func write(t *testing.T, from *customers.Client, to phone.Number, text string) (id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	await.Until(t, "the recipient's keys", func() (sent bool) {
		var err error
		if id, err = from.Send(ctx, to, text); !errors.Is(err, customer.ErrNoDevice) {
			check(t, err)
		}
		return err == nil
	})
	return id
}

// startProfanity runs Profanity as a number until the test ends. Listed says that
// the account has a device list, to which Profanity adds its device; without one,
// nobody learns of the device before it writes.
func startProfanity(t *testing.T, server server, number string, listed bool) *human {
	t.Helper()
	domain, addr, _ := server.Where()
	n, err := phone.Parse(number)
	check(t, err)
	check(t, server.AddAccount(t.Context(), number, password))
	if listed {
		makeDeviceList(t, server, n)
	}
	h := &human{number: n, jid: number + "@" + domain, config: profanity.Config{
		JID: number + "@" + domain, Password: password, Address: addr, Dir: t.TempDir(),
	}}
	h.start(t)
	t.Cleanup(func() { h.stop(t) })
	return h
}

// human is the customer at Profanity.
type human struct {
	client *profanity.Client // nil while it is away
	config profanity.Config
	number phone.Number
	jid    string
}

// start opens the client, with the keys and sessions that it had.
func (h *human) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	h.client, err = profanity.Start(ctx, h.config)
	check(t, err)
}

// stop closes it.
func (h *human) stop(t *testing.T) {
	t.Helper()
	if h.client != nil {
		check(t, h.client.Stop())
		h.client = nil
	}
}

func (h *human) say(t *testing.T, to *customers.Client, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, h.client.Send(ctx, to.JID(), text))
}

func (h *human) waitText(t *testing.T, from *customers.Client, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, h.client.WaitText(ctx, from.JID(), text))
}

// waitReceived waits until Profanity shows all that it sent to a peer as received.
func (h *human) waitReceived(t *testing.T, jid string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, h.client.WaitReceived(ctx, jid))
}

// makeDeviceList publishes an empty device list for an account, as any other
// client of its owner would have. Profanity 0.13.1 adds its device to a list but
// never makes one.
func makeDeviceList(t *testing.T, server server, n phone.Number) {
	t.Helper()
	link, end := logIn(t, server, n.E164(), xmpp.Closed)
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, link.PublishDevices(ctx, carrier.Legacy, nil))
}

// logIn logs another client of an account in, until end is called.
func logIn(t *testing.T, server server, account string, registration xmpp.Registration) (link *xmpp.Carrier, end func()) {
	t.Helper()
	n, err := phone.Parse(account)
	check(t, err)
	domain, addr, ca := server.Where()
	link, err = xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: n, Domain: domain, Address: addr, CABundle: ca, Password: password, Resource: "other-client"},
		Registration: registration,
	})
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	up := make(upHandler, 1)
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx, up) }()
	select {
	case <-up:
	case err := <-done:
		cancel()
		t.Fatalf("logging in: %v", err)
	}
	return link, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the other client: %v", err)
		}
	}
}

// upHandler tells when a link is up, and drops everything that arrives.
type upHandler chan struct{}

func (up upHandler) Receive(_ context.Context, events []carrier.Event) error {
	for _, ev := range events {
		if _, ok := ev.(carrier.Connected); ok {
			select {
			case up <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

func TestProfanityWritesFirst(t *testing.T) {
	server := prosody.StartT(t, prosody.Options{Registration: true})
	ours := start(t, server, goNumber)
	human := startProfanity(t, server, profanityNumber, false)
	human.say(t, ours, "Guten Tag, haben Sie heute offen?")
	ours.Sees("Guten Tag, haben Sie heute offen?")
	human.waitReceived(t, ours.JID())
	id := write(t, ours, human.number, "Ja, bis 18 Uhr. äöü €")
	human.waitText(t, ours, "Ja, bis 18 Uhr. äöü €")
	ours.Learns(customer.Delivered, id)
	converse(t, human, ours)
}

func TestOurClientWritesFirst(t *testing.T) {
	server := prosody.StartT(t, prosody.Options{Registration: true})
	ours := start(t, server, goNumber)
	human := startProfanity(t, server, profanityNumber, true)
	befriend(t, human, ours)
	id := write(t, ours, human.number, "Your parcel is here.")
	human.waitText(t, ours, "Your parcel is here.")
	ours.Learns(customer.Delivered, id)
	human.say(t, ours, "On my way!")
	ours.Sees("On my way!")
	converse(t, human, ours)
}

// befriend lets our client see Profanity's bundle, which it publishes for those
// only who see its presence.
func befriend(t *testing.T, human *human, ours *customers.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, human.client.Befriend(ctx, ours.JID()))
}

// converse goes back and forth: the session has settled and its ratchet turns.
func converse(t *testing.T, human *human, ours *customers.Client) {
	t.Helper()
	for _, text := range []string{"one", "two", "three"} {
		human.say(t, ours, "question "+text)
		ours.Sees("question " + text)
		write(t, ours, human.number, "answer "+text)
		write(t, ours, human.number, "and more to "+text)
		human.waitText(t, ours, "answer "+text)
		human.waitText(t, ours, "and more to "+text)
	}
	human.waitReceived(t, ours.JID())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
