// Package customer is an ordinary customer: one number with one OMEMO device that chats with a
// business as a phone would. The terminal (kubectl relay chat) and the tests use it. It must not
// know anything about the relay: like every other client, it talks to it only through the
// carrier.
package customer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// ErrNoDevice means that the peer has no device to write to: its account publishes none, and
// none of its devices wrote to us.
var ErrNoDevice = errors.New("the peer has no device that reads encrypted messages")

// ErrOutside means that a device of the peer reads something only outside the encryption.
var ErrOutside = errors.New("a device of the peer could read that only outside the encryption")

// EventKind says what happened.
type EventKind string

// The kinds of event.
const (
	Online     EventKind = "online"     // the link is up and our keys are published
	Received   EventKind = "received"   // Text from Peer
	Delivered  EventKind = "delivered"  // our message ID reached the peer's device
	Read       EventKind = "read"       // our message ID, and all before it, was read
	Bounced    EventKind = "bounced"    // our message ID came back undelivered
	Unreadable EventKind = "unreadable" // Peer sent what could not be opened; a new session was offered
	Plaintext  EventKind = "plaintext"  // Peer sent something unencrypted, which is not shown
	Typing     EventKind = "typing"     // Peer began to write
	Reacted    EventKind = "reacted"    // Peer reacts with Text to our message ID, or no longer does
)

// Event is one thing that happened.
type Event struct {
	Kind EventKind
	Peer phone.Number
	ID   string // the message's id at the carrier
	// Text is the text of Received. It comes from a peer: strip control characters before
	// showing it. If media.ParseFileURL accepts it, it names a file, and is as secret as that.
	Text string
	Time time.Time
	// Err says why a message is Unreadable, if that is known. It has neither content nor numbers.
	Err error
	// References is what a Received message says about others. Clear says that this, or what is Reacted,
	// stood outside the encryption.
	References carrier.References
	Clear      bool
	// IdentityChanged says that the peer's device has another identity key than
	// before.
	IdentityChanged bool
}

// Options are what a Customer works with.
type Options struct {
	State   *State
	Carrier carrier.Carrier
	// Formats are the versions of OMEMO that the client speaks, and Domain is the carrier's, which OMEMO2
	// needs; nil means Legacy.
	Formats []carrier.Format
	Domain  string
	// Web moves files; nil means that none are sent or fetched.
	Web Web
	// OnEvent is called for each event, one at a time; it must not block for long.
	// Nil ignores them.
	OnEvent func(Event)
	// Log gets failures that resolve themselves, without numbers or content. Nil discards
	// them.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Customer is a customer's client. Run it, then send.
type Customer struct {
	Options
	tasks chan task

	eventMu sync.Mutex // one event at a time

	mu       sync.Mutex // guards the following fields
	lists    map[listKey][]carrier.DeviceID
	repaired map[string]time.Time // by address: when a new session was last offered
}

// New returns a customer that is not running yet.
func New(o Options) *Customer {
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Formats == nil {
		o.Formats = []carrier.Format{carrier.Legacy}
	}
	o.State.speak(o.Formats, o.Domain)
	return &Customer{
		Options:  o,
		tasks:    make(chan task, maxTasks),
		lists:    map[listKey][]carrier.DeviceID{},
		repaired: map[string]time.Time{},
	}
}

// Run keeps the customer online until ctx ends, which is no error. It returns an error that
// retrying does not mend, such as a refused password.
func (c *Customer) Run(ctx context.Context) error {
	g, runCtx := errgroup.WithContext(ctx)
	h := &handler{c: c, changed: map[phone.Number]bool{}}
	g.Go(func() error { return c.Carrier.Run(runCtx, carrier.OneByOne(h.receive)) })
	g.Go(func() error { return c.work(runCtx) })
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// Send sends a text to a peer's devices and returns the message's id once the carrier has it.
// Delivered and Read events name that id. It waits for the link as long as ctx allows.
func (c *Customer) Send(ctx context.Context, to phone.Number, text string) (string, error) {
	return c.send(ctx, to, omemo.Text([]byte(text)))
}

// SendAbout is Send for a text that answers or corrects another. The references go inside the encryption
// if all of the peer's devices can read them there, else in clear.
func (c *Customer) SendAbout(ctx context.Context, to phone.Number, text string, refs carrier.References) (string, error) {
	return c.send(ctx, to, omemo.Saying{Text: []byte(text), References: refs})
}

// React sends a reaction to a message, as SendAbout sends references; an empty one removes the reaction.
func (c *Customer) React(ctx context.Context, to phone.Number, about, emoji string) error {
	inside, err := c.readsInside(ctx, to)
	if err != nil {
		return err
	}
	if inside {
		_, err = c.send(ctx, to, omemo.Saying{Reaction: &omemo.Reaction{About: about, Emoji: emoji}})
		return err
	}
	r := carrier.OutgoingReaction{ID: rand.Text(), To: to, About: about, Emoji: emoji}
	return retry(ctx, func() error { return c.Carrier.SendReaction(ctx, r) })
}

// TakeBack takes back a message of ours, inside the encryption. It returns ErrOutside if a device of the
// peer could not read that there.
func (c *Customer) TakeBack(ctx context.Context, to phone.Number, about string) error {
	inside, err := c.readsInside(ctx, to)
	if err == nil && !inside {
		err = ErrOutside
	}
	if err == nil {
		_, err = c.send(ctx, to, omemo.Saying{Retracts: about})
	}
	return err
}

// OptOut asks a peer for messages without OMEMO, beside a text, which may be nil.
func (c *Customer) OptOut(ctx context.Context, to phone.Number, reason string, text []byte) error {
	_, err := c.send(ctx, to, omemo.Saying{OptOut: &omemo.OptOut{Reason: reason}, Text: text})
	return err
}

// readsInside says whether all of a peer's devices read more than a text inside the encryption.
func (c *Customer) readsInside(ctx context.Context, to phone.Number) (bool, error) {
	if !slices.Contains(c.Formats, carrier.OMEMO2) {
		return false, nil
	}
	modern, err := c.devices(ctx, listKey{to, carrier.OMEMO2})
	if err != nil || len(modern) == 0 || !slices.Contains(c.Formats, carrier.Legacy) {
		return len(modern) > 0, err
	}
	legacy, err := c.devices(ctx, listKey{to, carrier.Legacy})
	alone := slices.ContainsFunc(legacy, func(d carrier.DeviceID) bool { return !slices.Contains(modern, d) })
	return !alone, err
}

// send sends what is said; the zero Saying is a key transport message.
func (c *Customer) send(ctx context.Context, to phone.Number, say omemo.Saying) (string, error) {
	envelopes, err := c.seal(ctx, to, say)
	if err != nil {
		return "", fmt.Errorf("encrypting: %w", err)
	}
	out := carrier.Outgoing{
		ID: rand.Text(), To: to, Envelope: envelopes[0], Other: carrier.Second(envelopes), Receipts: say.Text != nil,
	}
	if slices.ContainsFunc(envelopes, func(e carrier.Envelope) bool { return e.Format == carrier.Legacy }) {
		out.References = say.References
	}
	err = retry(ctx, func() error { return c.Carrier.Send(ctx, out) })
	if err != nil {
		return "", fmt.Errorf("sending: %w", err)
	}
	return out.ID, nil
}

func (c *Customer) emit(e Event) {
	if e.Time.IsZero() {
		e.Time = c.Now()
	}
	c.eventMu.Lock()
	defer c.eventMu.Unlock()
	c.OnEvent(e)
}
