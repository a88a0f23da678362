package message

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ErrUnknownMessage means that no message of a customer has that id.
var ErrUnknownMessage = errors.New("no message from a customer has this id")

// Text is a text message that the business asks to send.
type Text struct {
	To      phone.Number
	Body    string
	ReplyTo string // id of the message that it answers; empty for none
	Opaque  string // comes back in its statuses
	// IdentityHash names the identity key of the recipient's device that the message
	// is for, as webhooks told it, and accepts that key; empty for all devices.
	IdentityHash string
}

// AcceptText stores a message and returns its id. When it returns nil the message
// is durable and will be sent. Store.ErrQuota means that too much is kept of the recipient.
func (s *Service) AcceptText(ctx context.Context, t Text) (string, error) {
	body, err := content{Text: t.Body, ReplyTo: t.ReplyTo, IdentityHash: t.IdentityHash}.encode()
	if err != nil {
		return "", err
	}
	now := s.Now()
	m := store.Message{
		ID: store.NewMessageID(), Direction: store.Outbound, Type: "text", Body: body, CarrierID: rand.Text(),
		State: stateAccepted, Opaque: t.Opaque, Created: now, Updated: now,
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		c, err := s.customer(tx, t.To)
		if err != nil {
			return err
		}
		m.Customer = c.ID
		if err := tx.PutMessage(m); err != nil {
			return err
		}
		return s.enqueue(tx, c.ID, m.ID, task{Kind: kindText})
	})
	if err != nil {
		return "", fmt.Errorf("accepting a message: %w", s.outQuota(err))
	}
	s.counts.add(EventAccepted)
	s.wakeOutbox()
	return m.ID, nil
}

// MarkRead stores that a customer is to be told that a message, and all before it,
// was read; typing shows besides that an answer is being written.
func (s *Service) MarkRead(ctx context.Context, id string, typing bool) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := tx.Message(id)
		if isNotFound(err) || err == nil && m.Direction != store.Inbound {
			return ErrUnknownMessage
		}
		if err != nil {
			return err
		}
		body, err := contentOf(m)
		if err != nil {
			return err
		}
		if err := tx.SetMessageState(m.ID, stateRead, s.Now()); err != nil {
			return err
		}
		t := task{Kind: kindReceipt, Typing: typing}
		if body.Markable {
			t.Receipt, t.Stanza = carrier.Read, m.CarrierID
		}
		return s.enqueue(tx, m.Customer, "", t)
	})
	if err != nil {
		return fmt.Errorf("marking a message as read: %w", err)
	}
	s.wakeOutbox()
	return nil
}
