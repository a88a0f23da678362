package carriertest

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// pair is two numbers: who asked, and who was asked.
type pair struct{ from, to phone.Number }

// Contact notes a contact request (carrier.Carrier). A number that nobody ran has no account.
func (c *Carrier) Contact(_ context.Context, peer phone.Number, ask bool) (carrier.ContactState, error) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	p := pair{c.own, peer}
	state := c.hub.contacts[p]
	if state != carrier.ContactNone || !ask {
		return state, nil
	}
	if c.hub.inboxes[peer] == nil {
		return state, errors.Join(carrier.ErrNotFound, carrier.ErrNoAccount)
	}
	c.hub.contacts[p] = carrier.ContactAsked
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	return carrier.ContactAsked, nil
}

// Requests counts the contact requests that were made.
func (c *Carrier) Requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Answer answers a contact request. Silently, the one who asked is not told: it had no link.
func (h *Hub) Answer(from, peer phone.Number, s carrier.ContactState, silently bool) {
	h.Change(func() { h.contacts[pair{from, peer}] = s })
	if !silently {
		h.Deliver(from, carrier.ContactAnswer{Peer: peer, State: s})
	}
}

// hides says whether a number does not show another what it publishes. The caller holds mu.
func (h *Hub) hides(n, from phone.Number) bool {
	return h.Hidden[n] && h.contacts[pair{from, n}] != carrier.ContactAllowed
}
