package xmpp

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Send implements carrier.Carrier. When the link breaks it waits up to half a
// minute for the session to be resumed, and only then reports ErrUnconfirmed. A
// message that the server acknowledged later is not sent again when Send is
// called again for it.
func (c *Carrier) Send(ctx context.Context, o carrier.Outgoing) error {
	if o.ID == "" || len(o.ID) > stanza.MaxID {
		return fmt.Errorf("xmpp: message needs an id of 1 to %d bytes: %w", stanza.MaxID, carrier.ErrRejected)
	}
	return c.session.Send(ctx, messageKey(o.To, o.ID), stanza.Outgoing(c.addr, o).Bytes())
}

// SendReceipt implements carrier.Carrier. It returns once the server has them.
func (c *Carrier) SendReceipt(ctx context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error {
	if id == "" {
		return fmt.Errorf("xmpp: receipt for a message without id: %w", carrier.ErrRejected)
	}
	stanzas := make([][]byte, len(kinds))
	for i, kind := range kinds {
		stanzas[i] = stanza.Receipt(c.addr, rand.Text(), to, id, kind).Bytes()
	}
	return c.session.Send(ctx, "", stanzas...)
}

// Refuse implements carrier.Carrier. It returns once the server has the answer. Without
// a resource or an id there is nobody who could be told: that is no error.
func (c *Carrier) Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error {
	if r.Resource == "" || r.ID == "" {
		return nil
	}
	return c.session.Send(ctx, "", stanza.Refusal(c.addr, to, r).Bytes())
}

// SendTyping implements carrier.Carrier. It does not wait.
func (c *Carrier) SendTyping(_ context.Context, to phone.Number, composing bool) error {
	return c.post(stanza.Typing(c.addr, to, composing))
}

// messageKey names a message on its way. It stays in memory.
func messageKey(to phone.Number, id string) string { return to.E164() + " " + id }
