package xmpp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
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
	if o.ID == "" || len(o.ID) > maxID {
		return fmt.Errorf("xmpp: message needs an id of 1 to %d bytes: %w", maxID, carrier.ErrRejected)
	}
	key := messageKey(o.To, o.ID)
	return c.deliver(ctx, key, outgoing(c.addr, o))
}

// SendReceipt implements carrier.Carrier. It returns once the server has it.
func (c *Carrier) SendReceipt(ctx context.Context, to phone.Number, id string, kind carrier.ReceiptKind) error {
	if id == "" {
		return fmt.Errorf("xmpp: receipt for a message without id: %w", carrier.ErrRejected)
	}
	return c.deliver(ctx, "", receipt(c.addr, rand.Text(), to, id, kind))
}

// SendTyping implements carrier.Carrier. It does not wait.
func (c *Carrier) SendTyping(_ context.Context, to phone.Number, composing bool) error {
	return c.tell(typing(c.addr, to, composing))
}

// messageKey names a message on its way. It stays in memory.
func messageKey(to phone.Number, id string) string { return to.E164() + " " + id }

// deliver sends a stanza and waits until the server acknowledged it.
func (c *Carrier) deliver(ctx context.Context, key string, e *element) error {
	b := e.bytes()
	if len(b) > maxOutgoing {
		return errTooLong
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	wait := make(chan error, 1)
	s, err := c.hand(key, b, wait)
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

// hand gives a stanza to the link, or waits along when it is under way already.
// It returns nil when there is nothing to wait for.
func (c *Carrier) hand(key string, b []byte, wait chan error) (*sent, error) {
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
	s := &sent{bytes: b, key: key, waiters: []chan error{wait}}
	if err := c.push(s); err != nil {
		return nil, err
	}
	return s, nil
}
