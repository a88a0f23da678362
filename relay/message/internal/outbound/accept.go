package outbound

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ErrUnknownMessage means that no message of a customer has that id.
var ErrUnknownMessage = errors.New("no message from a customer has this id")

// Text is a text message that the business asks to send.
type Text struct {
	To      phone.Number
	ToUser  bool // the business named To by user id
	Body    string
	ReplyTo string // id of the message that it answers; empty for none
	Opaque  string // comes back in its statuses
	// Choices are the answers that Body offers, of a kind that the webhook of an answer names.
	Choices    []rich.Choice
	ChoiceKind string
	// IdentityHash names the identity key of the recipient's device that the message is for,
	// as webhooks name it, and accepts that key; empty for all devices.
	IdentityHash string
	Marketing    bool        // by a template of that category
	Once         *store.Once // nil: it is sent each time
}

// AcceptText stores a message and returns its id. When the error is nil, the message is
// durable and will be sent. Store.ErrQuota means that the recipient's quota is used up.
func (s *Outbound) AcceptText(ctx context.Context, t Text) (string, error) {
	body := record.Content{Text: t.Body, ToUser: t.ToUser, ReplyTo: t.ReplyTo, IdentityHash: t.IdentityHash, Choices: t.Choices, ChoiceKind: t.ChoiceKind}
	encoded, err := body.Encode()
	if err != nil {
		return "", err
	}
	now := s.Now()
	m := store.Message{
		ID: store.NewMessageID(), Direction: store.Outbound, Type: "text", Body: encoded, CarrierID: store.NewCarrierID(),
		State: record.StateAccepted, Opaque: t.Opaque, Created: now, Updated: now,
	}
	to := addressee{Outbound: s, marketing: t.Marketing}
	accept := func(seal func(*store.Tx, store.Customer, *store.Message, record.Content) error) error {
		return s.Store.Update(ctx, s.Once(t.Once, m.ID, func(tx *store.Tx) error {
			c, err := to.find(tx, t.To)
			if err != nil {
				return err
			}
			m := m
			m.Customer = c.ID
			if err := seal(tx, c, &m, body); err != nil {
				return err
			}
			if err := tx.PutMessage(m); err != nil {
				return err
			}
			if err := offer(tx, &c, m.ID, t.Choices); err != nil {
				return err
			}
			return s.Enqueue(tx, c.ID, m.ID, record.Task{Kind: record.KindText})
		}))
	}
	err = accept(s.sealAhead)
	if errors.Is(err, peers.ErrNotReady) {
		err = accept(sealLater)
	}
	if err != nil {
		to.undo()
		s.ahead.ended(m.ID)
		return "", fmt.Errorf("accepting a message: %w", s.OutQuota(err))
	}
	s.Counts.Add(base.EventAccepted)
	return m.ID, nil
}

// sealAhead encrypts a message that is being accepted, if nothing has to be asked of the carrier for it, and few
// messages to the customer wait, all of them encrypted, and puts the ciphertext into it. It returns peers.ErrNotReady when the transaction
// must be undone, and the message accepted as it is.
func (s *Outbound) sealAhead(tx *store.Tx, c store.Customer, m *store.Message, body record.Content) error {
	if !plain(*m, body) || !c.Asked.IsZero() || !s.peers.Reachable() || !s.blocklist.Allowed(c.Number) || !s.peers.Fresh(c.ID) || !s.ahead.room() {
		return nil
	}
	if queued, err := tx.QueuedFor(base.QueueOutbox, c.ID, maxAheadOf); err != nil || len(queued) == maxAheadOf || !s.ahead.sealed(queued) {
		return err
	}
	e, err := s.peers.SealReady(tx, c, saying(*m, body, answered{}))
	if err != nil {
		return notReady(err)
	}
	s.setSealed(&body, e, answered{})
	if m.Body, err = body.Encode(); err != nil {
		return err
	}
	s.ahead.put(readyMessage{id: m.ID, carrierID: m.CarrierID, customer: c, sealed: e})
	return nil
}

// sealLater leaves a message to be encrypted in its turn.
func sealLater(*store.Tx, store.Customer, *store.Message, record.Content) error { return nil }

// Read marks a customer's message as read.
type Read struct {
	ID     string
	Typing bool        // also show the customer that an answer is being written
	Once   *store.Once // nil: it is done each time
}

// MarkRead queues a read marker for a message and all before it.
func (s *Outbound) MarkRead(ctx context.Context, r Read) error {
	err := s.Store.Update(ctx, s.Once(r.Once, "", func(tx *store.Tx) error {
		m, err := tx.Message(r.ID)
		if record.IsNotFound(err) || err == nil && m.Direction != store.Inbound {
			return ErrUnknownMessage
		}
		if err != nil {
			return err
		}
		body, err := record.ContentOf(m)
		if err != nil {
			return err
		}
		if err := tx.SetMessageState(m.ID, record.StateRead, s.Now()); err != nil {
			return err
		}
		t := record.Task{Kind: record.KindReceipt, Typing: r.Typing}
		if body.Markable {
			t.Receipt, t.Stanza = carrier.Read, m.CarrierID
		}
		return s.Enqueue(tx, m.Customer, "", t)
	}))
	if err != nil {
		return fmt.Errorf("marking a message as read: %w", err)
	}
	return nil
}
