package xmpp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Bounds on the account's contact list (RFC 6121, section 2). Earlier relays asked every
// customer to become a contact.
const (
	maxContacts = 100_000
	// contactEntry is the largest size of an entry without its domain, in bytes.
	contactEntry = 256
)

// Contact implements carrier.Carrier. The request is one to see the peer's presence
// (RFC 6121, section 3), which servers and clients take as permission to see the keys.
func (c *Carrier) Contact(ctx context.Context, peer phone.Number, ask bool) (carrier.ContactState, error) {
	contacts, err := c.readContacts(ctx)
	if err != nil {
		return carrier.ContactNone, err
	}
	if state := contacts.state(peer); state != carrier.ContactNone || !ask {
		return state, nil
	}
	if err := c.mayExist(ctx, peer); err != nil {
		return carrier.ContactNone, err
	}
	err = contacts.ask(peer, func() error {
		if err := c.post(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", "subscribe")); err != nil {
			return err
		}
		return c.handled(ctx)
	})
	if err != nil {
		return carrier.ContactNone, err
	}
	return carrier.ContactAsked, nil
}

// handled waits until the server has handled all that was sent to it: it answers in order. Whoever notes that a peer was
// asked may then trust that the server knows.
func (c *Carrier) handled(ctx context.Context) error {
	_, err := c.questions.ask(ctx, c.addr.Domain, "get", stanza.New(stanza.NSPing, "ping"))
	if _, answered := errors.AsType[*stanza.Error](err); answered {
		return nil
	}
	return err
}

// readContacts returns the account's contact list, which it reads once in a stream. From then
// on the server tells us of all changes, which it does only for those who asked for the list.
func (c *Carrier) readContacts(ctx context.Context) (*contacts, error) {
	c.mu.Lock()
	known := c.contacts
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	read := newContacts()
	list := &stanza.LongList{
		Elements: maxContacts, Bytes: maxContacts * (contactEntry + len(c.addr.Domain)),
		Each: func(item *stanza.Element) {
			if o, n := c.addr.Origin(item.Attr("jid")); item.Is(nsRoster, "item") && o == stanza.FromPeer {
				read.put(n, contactState(item))
			}
		},
	}
	q := &question{list: list, then: func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.contacts = read // before the reader sees a change
	}}
	_, err := c.questions.put(ctx, q, "get", stanza.New(nsRoster, "query"))
	if err == nil || errors.Is(err, errLongAnswer) || stanza.IsCondition(err, "service-unavailable", "feature-not-implemented") {
		return read, nil
	}
	c.mu.Lock()
	c.contacts = nil
	c.mu.Unlock()
	return nil, fmt.Errorf("reading the contact list: %w", err)
}

// contactState reads an item of a contact list.
func contactState(item *stanza.Element) carrier.ContactState {
	switch subscription := item.Attr("subscription"); {
	case subscription == "to", subscription == "both":
		return carrier.ContactAllowed
	case item.Attr("ask") == "subscribe" && subscription != "remove":
		return carrier.ContactAsked
	}
	return carrier.ContactNone
}

// answered notes a change of the contact list that the server told us, and returns what it
// means for a request of ours; nil for nothing.
func (c *Carrier) answered(item *stanza.Element) []carrier.Event {
	origin, peer := c.addr.Origin(item.Attr("jid"))
	c.mu.Lock()
	contacts := c.contacts
	c.mu.Unlock()
	if origin != stanza.FromPeer || contacts == nil {
		return nil
	}
	state := contactState(item)
	if before := contacts.put(peer, state); before == state || state == carrier.ContactAsked {
		return nil
	}
	return []carrier.Event{carrier.ContactAnswer{Peer: peer, State: state}}
}

// mayExist returns ErrNoAccount when the server says that the peer has no account. Prosody
// answers forbidden to a stranger whether the account, the list or only the permission is
// missing, but it returns a message to an account that does not exist at once. So we send one
// that says nothing, and wait until the server has handled it.
func (c *Carrier) mayExist(ctx context.Context, peer phone.Number) error {
	_, err := c.fetchDevices(ctx, c.addr.Of(peer), carrier.Legacy)
	e := (*stanza.Error)(nil)
	if !errors.As(err, &e) || e.Condition != "forbidden" || e.Detail != "" {
		return nil
	}
	id := rand.Text()
	c.mu.Lock()
	c.knocks[id] = false
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.knocks, id)
		c.mu.Unlock()
	}()
	if err := c.post(stanza.Knock(c.addr, peer, id)); err != nil {
		return err
	}
	if err := c.handled(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.knocks[id] {
		return noAccount(nil)
	}
	return nil
}

// noteReturned notes that a message came back. It sees messages in the order in which they
// arrive, and so before the answer to a later question.
func (c *Carrier) noteReturned(e *stanza.Element) {
	if e.Attr("type") != "error" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ours := c.knocks[e.Attr("id")]; ours {
		c.knocks[e.Attr("id")] = true
	}
}

// noAccount is the error for a peer without an account.
func noAccount(err error) error { return errors.Join(carrier.ErrNotFound, carrier.ErrNoAccount, err) }
