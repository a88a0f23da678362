package xmpp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

var errUnconfirmed = carrier.ErrUnconfirmed

// errTooLong says that a message is larger than servers take.
var errTooLong = fmt.Errorf("xmpp: message is too large: %w", carrier.ErrRejected)

// maxOutgoing is the largest stanza that is sent: Prosody's default limit.
const maxOutgoing = 256 << 10

// Send implements carrier.Carrier. When the link breaks it waits up to half a
// minute for the session to be resumed, and only then reports ErrUnconfirmed. A
// message that the server acknowledged later is not sent again when Send is
// called again for it.
func (c *Carrier) Send(ctx context.Context, o carrier.Outgoing) error {
	if o.ID == "" || len(o.ID) > stanza.MaxID {
		return fmt.Errorf("xmpp: message needs an id of 1 to %d bytes: %w", stanza.MaxID, carrier.ErrRejected)
	}
	key := messageKey(o.To, o.ID)
	return c.deliver(ctx, key, stanza.Outgoing(c.addr, o))
}

// SendReceipt implements carrier.Carrier. It returns once the server has them.
func (c *Carrier) SendReceipt(ctx context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error {
	if id == "" {
		return fmt.Errorf("xmpp: receipt for a message without id: %w", carrier.ErrRejected)
	}
	stanzas := make([]*stanza.Element, len(kinds))
	for i, kind := range kinds {
		stanzas[i] = stanza.Receipt(c.addr, rand.Text(), to, id, kind)
	}
	return c.deliver(ctx, "", stanzas...)
}

// Refuse implements carrier.Carrier. It returns once the server has the answer. Without
// a resource or an id there is nobody who could be told: that is no error.
func (c *Carrier) Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error {
	if r.Resource == "" || r.ID == "" {
		return nil
	}
	return c.deliver(ctx, "", stanza.Refusal(c.addr, to, r))
}

// SendTyping implements carrier.Carrier. It does not wait.
func (c *Carrier) SendTyping(_ context.Context, to phone.Number, composing bool) error {
	return c.tell(stanza.Typing(c.addr, to, composing))
}

// messageKey names a message on its way. It stays in memory.
func messageKey(to phone.Number, id string) string { return to.E164() + " " + id }

// deliver sends stanzas, if there are any, and waits until the server acknowledged
// the last.
func (c *Carrier) deliver(ctx context.Context, key string, stanzas ...*stanza.Element) error {
	rendered := make([][]byte, len(stanzas))
	for i, e := range stanzas {
		if rendered[i] = e.Bytes(); len(rendered[i]) > maxOutgoing {
			return errTooLong
		}
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	wait := make(chan error, 1)
	s, err := c.hand(key, rendered, wait)
	if s == nil {
		return err
	}
	select {
	case err := <-wait:
		return err
	case <-ctx.Done():
		c.mu.Lock()
		s.waiters = slices.DeleteFunc(s.waiters, func(w chan error) bool { return w == wait })
		c.mu.Unlock()
		return errors.Join(errUnconfirmed, ctx.Err())
	}
}

// hand gives stanzas to the link, or waits along when the one with that key is under
// way already. It returns nil when there is nothing to wait for.
func (c *Carrier) hand(key string, stanzas [][]byte, wait chan error) (*sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key != "" && c.session.take(key) {
		return nil, nil
	}
	if c.link == nil {
		return nil, carrier.ErrOffline
	}
	if key != "" {
		if s := c.session.find(key); s != nil {
			s.waiters = append(s.waiters, wait)
			return s, nil
		}
	}
	var last *sent
	for _, b := range stanzas {
		last = &sent{bytes: b, key: key}
		if err := c.push(last); err != nil {
			return nil, err
		}
	}
	if last != nil {
		last.waiters = []chan error{wait}
	}
	return last, nil
}
