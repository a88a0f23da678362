package outbound

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// sealTransport makes a message without content for one device, in a new session if the job
// asks for one.
func (s *Outbound) sealTransport(ctx context.Context, c store.Customer, t record.Task) (*carrier.Envelope, error) {
	p := peers.In(t.Format, t.Device)
	missing := p.Devices
	if t.Kind == record.KindAnswer {
		var err error
		if missing, err = s.peers.WithoutSession(ctx, c, p); err != nil {
			return nil, err
		}
	}
	p, err := s.peers.Fetch(ctx, c, p, missing)
	if err != nil {
		return nil, err
	}
	sealed, err := s.peers.Encrypt(ctx, c, p, omemo.Saying{}, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return sealed.Envelope, nil
}

// sendTransport sends a message without content, which completes a session or begins a new
// one. The message is not kept for another attempt, which makes its own.
func (s *Outbound) sendTransport(ctx context.Context, c store.Customer, t record.Task) error {
	envelope, err := s.sealTransport(ctx, c, t)
	if err != nil {
		return err
	}
	err = s.Carrier.Send(ctx, carrier.Outgoing{ID: store.NewMessageID(), To: c.Number, Envelope: *envelope})
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return record.ErrFinished
}

// sendRefusal tells a customer's client that its message was not accepted.
func (s *Outbound) sendRefusal(ctx context.Context, c store.Customer, t record.Task) error {
	if err := s.Carrier.Refuse(ctx, c.Number, carrier.Refusal{Resource: t.Resource, ID: t.Stanza, Kind: t.Refused}); err != nil {
		return fmt.Errorf("refusing a message: %w", err)
	}
	return record.ErrFinished
}

// sendReceipt tells a customer's client what became of its message.
func (s *Outbound) sendReceipt(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
	if t.Stanza != "" {
		err := s.Carrier.SendReceipts(ctx, carrier.OutgoingReceipt{To: c.Number, ID: t.Stanza, Kind: t.Receipt})
		if err != nil {
			return fmt.Errorf("sending a receipt: %w", err)
		}
	}
	if t.Typing && s.Now().Sub(j.Created) < typingTime {
		s.beginTyping(ctx, c)
	}
	return record.ErrFinished
}
