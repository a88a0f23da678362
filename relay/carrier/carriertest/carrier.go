package carriertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

var _ carrier.Carrier = (*Carrier)(nil)

// Carrier is a carrier.Carrier that connects one account to the hub.
type Carrier struct {
	hub *Hub
	own phone.Number

	mu        sync.Mutex // guards the following fields
	handler   carrier.Handler
	sent      []carrier.Outgoing
	fetched   int     // device lists and bundles
	started   int     // bundles
	requests  int     // contact requests
	busy      int     // how many publications fail
	unknown   bool    // nobody has a device list or a bundle
	fails     []error // answers of the next calls of Send, nil for none
	silently  bool    // what fails is delivered all the same
	refusals  []Refusal
	reactions []carrier.OutgoingReaction
	// bounces says which messages come back instead of being delivered, before Send returns;
	// nil for none.
	bounces func(o carrier.Outgoing) (back, temporary bool)
}

// Refusal is what a client was told about a message that was refused.
type Refusal struct {
	To phone.Number
	carrier.Refusal
}

// Run passes what arrives to the handler. When the handler fails to receive an event, the
// link ends and the event comes again on the next one.
func (c *Carrier) Run(ctx context.Context, h carrier.Handler) error {
	c.mu.Lock()
	c.handler = h
	c.mu.Unlock()
	c.hub.mu.Lock()
	in, begin := c.hub.inbox(c.own), []carrier.Event{carrier.Connected{}}
	for _, f := range carrier.Formats() {
		lists, _ := c.hub.published(f)
		begin = append(begin, carrier.OwnDeviceList{Format: f, Devices: slices.Clone(lists[c.own])})
	}
	c.hub.mu.Unlock()
	for ctx.Err() == nil {
		if h.Receive(ctx, begin) == nil {
			c.serve(ctx, h, in)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ctx.Err()
}

func (c *Carrier) serve(ctx context.Context, h carrier.Handler, in *inbox) {
	for {
		c.hub.mu.Lock()
		var next []carrier.Event
		taken := in.taken
		if len(in.events) > 0 {
			next = in.events[:1]
		}
		c.hub.mu.Unlock()
		if next == nil {
			if h.Receive(ctx, []carrier.Event{carrier.CaughtUp{}}) != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-in.wake:
				continue
			}
		}
		if h.Receive(ctx, next) != nil {
			return
		}
		c.hub.mu.Lock()
		cut := c.hub.Cuts != nil && c.hub.Cuts(c.own)
		if !cut && in.taken == taken { // another link of the account may have had it, too
			in.events, in.taken = in.events[1:], in.taken+1
		}
		c.hub.mu.Unlock()
		if cut {
			return
		}
	}
}

// Status says that the link is up (carrier.Carrier).
func (c *Carrier) Status() carrier.Status { return carrier.Status{State: carrier.Online} }

// PublishDevices publishes the own device list (carrier.Carrier).
func (c *Carrier) PublishDevices(_ context.Context, f carrier.Format, devices []carrier.DeviceID) error {
	if err := c.published(); err != nil {
		return err
	}
	for _, n := range c.hub.publish(c.own, f, devices) {
		c.hub.Deliver(n, carrier.DeviceList{Peer: c.own, Format: f, Devices: devices})
	}
	return nil
}

// PublishBundle publishes a bundle of the own account (carrier.Carrier).
func (c *Carrier) PublishBundle(_ context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	if err := c.published(); err != nil {
		return err
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	_, bundles := c.hub.published(b.Format)
	if bundles[c.own] == nil {
		bundles[c.own] = map[carrier.DeviceID]carrier.Bundle{}
	}
	bundles[c.own][d] = b
	return nil
}

// countFetch counts a fetch and says whether nobody is known.
func (c *Carrier) countFetch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetched++
	return c.unknown
}

// BundleFetches counts the bundles that were asked for.
func (c *Carrier) BundleFetches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started
}

// Devices returns a peer's device list (carrier.Carrier).
func (c *Carrier) Devices(_ context.Context, peer phone.Number, f carrier.Format) ([]carrier.DeviceID, error) {
	unknown := c.countFetch()
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.hides(peer, c.own) {
		return nil, carrier.ErrHidden
	}
	lists, _ := c.hub.published(f)
	if list, ok := lists[peer]; ok && !unknown {
		return slices.Clone(list), nil
	}
	return nil, carrier.ErrNotFound
}

// Bundle returns a bundle of a peer's (carrier.Carrier).
func (c *Carrier) Bundle(_ context.Context, peer phone.Number, d carrier.DeviceID, f carrier.Format) (carrier.Bundle, error) {
	unknown := c.countFetch()
	c.mu.Lock()
	c.started++
	c.mu.Unlock()
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.hub.hides(peer, c.own) {
		return carrier.Bundle{}, carrier.ErrHidden
	}
	_, bundles := c.hub.published(f)
	if b, ok := bundles[peer][d]; ok && !unknown {
		return b, nil
	}
	return carrier.Bundle{}, carrier.ErrNotFound
}

// Nickname returns the name that a peer gives themselves (carrier.Carrier).
func (c *Carrier) Nickname(_ context.Context, peer phone.Number) (string, error) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if name := c.hub.Nicknames[peer]; name != "" {
		return name, nil
	}
	return "", carrier.ErrNotFound
}

// Send delivers a message, unless the test makes it fail or bounce (carrier.Carrier).
func (c *Carrier) Send(_ context.Context, o carrier.Outgoing) error {
	c.mu.Lock()
	var err error
	if len(c.fails) > 0 {
		err, c.fails = c.fails[0], c.fails[1:]
	}
	lost := err != nil && !c.silently
	if !lost {
		c.sent = append(c.sent, o)
	}
	bounces, handler := c.bounces, c.handler
	c.mu.Unlock()
	var back, temporary bool
	if bounces != nil && !lost {
		back, temporary = bounces(o)
	}
	if back {
		if err := handler.Receive(context.Background(), []carrier.Event{carrier.Bounce{To: o.To, ID: o.ID, Temporary: temporary}}); err != nil {
			return err
		}
	}
	if (errors.Is(err, carrier.ErrOffline) || errors.Is(err, carrier.ErrUnconfirmed)) && c.reconnects() {
		go c.Reconnect() //nolint:gosec // the link comes up again long after the call
	}
	if lost || back {
		return err
	}
	m := c.arriving(o)
	c.hub.mu.Lock()
	silent := c.hub.Silent && o.Envelope.Payload == nil
	if c.hub.Tamper != nil {
		m = c.hub.Tamper(o.To, m)
	}
	c.hub.mu.Unlock()
	if !silent {
		c.hub.Deliver(o.To, m)
	}
	return err
}

// Reconnect tells the handler that a link is up again.
func (c *Carrier) Reconnect() {
	<-time.After(10 * time.Millisecond)
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	_ = h.Receive(context.Background(), []carrier.Event{carrier.Connected{}})
}

// SendReaction delivers a reaction, unless the test makes it fail (carrier.Carrier).
func (c *Carrier) SendReaction(_ context.Context, r carrier.OutgoingReaction) error {
	c.mu.Lock()
	var err error
	if len(c.fails) > 0 {
		err, c.fails = c.fails[0], c.fails[1:]
	}
	if err == nil {
		c.reactions = append(c.reactions, r)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	arrived := carrier.Reaction{ID: r.ID, From: c.own, Resource: "phone", About: r.About, Time: time.Now()}
	if r.Emoji != "" {
		arrived.Emoji = []string{r.Emoji}
	}
	c.hub.Deliver(r.To, arrived)
	return nil
}

// Refuse notes what a client is told (carrier.Carrier).
func (c *Carrier) Refuse(_ context.Context, to phone.Number, r carrier.Refusal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals = append(c.refusals, Refusal{to, r})
	return nil
}

// SendReceipts delivers receipts (carrier.Carrier).
func (c *Carrier) SendReceipts(_ context.Context, receipts ...carrier.OutgoingReceipt) error {
	c.hub.mu.Lock()
	muted := c.hub.Muted
	c.hub.mu.Unlock()
	if muted {
		return nil
	}
	for _, r := range receipts {
		c.hub.Deliver(r.To, carrier.Receipt{From: c.own, ID: r.ID, Kind: r.Kind})
	}
	return nil
}

// SendTyping notes what is shown (carrier.Carrier).
func (c *Carrier) SendTyping(_ context.Context, _ phone.Number, composing bool) error {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.hub.typing = append(c.hub.typing, composing)
	return nil
}

// arriving returns what is sent, as it arrives.
func (c *Carrier) arriving(o carrier.Outgoing) carrier.Message {
	return carrier.Message{
		ID: o.ID, From: c.own, Resource: "phone", Envelope: o.Envelope, Other: o.Other, Time: time.Now(),
		WantsReceipt: o.Receipts, WantsRead: o.Receipts, References: o.References,
	}
}

// errBusy is what a publication fails with.
var errBusy = errors.New("internal server error, for the time being")

// published counts a publication and fails while the hub is busy.
func (c *Carrier) published() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy > 0 {
		c.busy--
		return errBusy
	}
	return nil
}

// reconnects says whether links come up again by themselves.
func (c *Carrier) reconnects() bool {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return c.hub.Reconnects
}
