package xmpp

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Send implements carrier.Carrier. When the link breaks, it waits up to half a minute for
// the stream to be resumed before it returns ErrUnconfirmed. If the server acknowledges the
// message after that, calling Send again for it does not send it again.
func (c *Carrier) Send(ctx context.Context, o carrier.Outgoing) error {
	if o.ID == "" || len(o.ID) > stanza.MaxID {
		return fmt.Errorf("xmpp: message needs an id of 1 to %d bytes: %w", stanza.MaxID, carrier.ErrRejected)
	}
	return c.stream.Send(ctx, messageKey(o.To, o.ID), stanza.Outgoing(c.addr, o).Bytes())
}

// SendReaction implements carrier.Carrier. It waits as Send does.
func (c *Carrier) SendReaction(ctx context.Context, r carrier.OutgoingReaction) error {
	if r.ID == "" || len(r.ID) > stanza.MaxID || r.About == "" {
		return fmt.Errorf("xmpp: reaction needs an id of 1 to %d bytes, and a message that it is about: %w", stanza.MaxID, carrier.ErrRejected)
	}
	return c.stream.Send(ctx, messageKey(r.To, r.ID), stanza.Reaction(c.addr, r).Bytes())
}

// SendRetraction takes back a message that was sent under an id. It returns once the server has
// the retraction. A relay takes nothing back; its tests' customers do.
func (c *Carrier) SendRetraction(ctx context.Context, to phone.Number, about string) error {
	return c.stream.Send(ctx, "", stanza.Retraction(c.addr, rand.Text(), to, about).Bytes())
}

// SendReceipts implements carrier.Carrier. It returns once the server has them.
func (c *Carrier) SendReceipts(ctx context.Context, receipts ...carrier.OutgoingReceipt) error {
	stanzas := make([][]byte, 0, len(receipts))
	for _, r := range receipts {
		if r.ID == "" {
			continue
		}
		if b := stanza.Receipt(c.addr, rand.Text(), r.To, r.ID, r.Kind).Bytes(); len(b) <= stream.MaxOutgoing {
			stanzas = append(stanzas, b)
		}
	}
	return c.stream.Send(ctx, "", stanzas...)
}

// Refuse implements carrier.Carrier. It returns once the server has the refusal. Without a
// resource or an id there is nobody to tell, which is no error.
func (c *Carrier) Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error {
	if r.Resource == "" || r.ID == "" {
		return nil
	}
	return c.stream.Send(ctx, "", stanza.Refusal(c.addr, to, r).Bytes())
}

// SendTyping implements carrier.Carrier. It does not wait.
func (c *Carrier) SendTyping(_ context.Context, to phone.Number, composing bool) error {
	return c.post(stanza.Typing(c.addr, to, composing))
}

// messageKey names a message in flight. It stays in memory.
func messageKey(to phone.Number, id string) string { return to.Local() + " " + id }
