package carriertest

import (
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Lose makes the next calls of Send fail because there is no link.
func (c *Carrier) Lose(times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = slices.Repeat([]error{carrier.ErrOffline}, times)
}

// LoseUnconfirmed breaks the link in the next calls of Send, after the carrier has got what
// they send.
func (c *Carrier) LoseUnconfirmed(times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails, c.silently = slices.Repeat([]error{carrier.ErrUnconfirmed}, times), true
}

// Losing returns how many calls are still to fail.
func (c *Carrier) Losing() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fails)
}

// Bounce makes messages come back, as f says.
func (c *Carrier) Bounce(f func(o carrier.Outgoing) (back, temporary bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounces = f
}

// Last returns the last message that was sent, with content or without, as it would
// arrive from a client that asks for no read receipt.
func (c *Carrier) Last() carrier.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.sent[len(c.sent)-1]
	return carrier.Message{ID: o.ID, From: c.own, Envelope: o.Envelope, Time: time.Now(), WantsReceipt: o.Receipts}
}

// Texts returns what was sent with content.
func (c *Carrier) Texts() []carrier.Outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []carrier.Outgoing
	for _, o := range c.sent {
		if o.Envelope.Payload != nil {
			out = append(out, o)
		}
	}
	return out
}

// LastText returns the last message with content that was sent, as it arrived.
func (c *Carrier) LastText() carrier.Message {
	sent := c.Texts()
	return c.arriving(sent[len(sent)-1])
}

// Fail makes the next calls of Send return these errors. What they send is lost or, with
// delivered, arrives all the same.
func (c *Carrier) Fail(delivered bool, errs ...error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails, c.silently = errs, delivered
}

// HideOthers makes every fetch of a device list or bundle find nothing.
func (c *Carrier) HideOthers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unknown = true
}

// Fetches counts the device lists and bundles that were asked for.
func (c *Carrier) Fetches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fetched
}

// Refusals returns what clients were told about messages that were refused.
func (c *Carrier) Refusals() []Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refusals)
}

// Reactions returns the reactions that were sent.
func (c *Carrier) Reactions() []carrier.OutgoingReaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.reactions)
}
