package outbound

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// sendReady sends a plain text for the first time if nothing has to be asked of the carrier before. What was not
// encrypted ahead is read, encrypted and written in one transaction, in which the writer remembers most of it. It
// says whether it did; what it cannot do, or what is in doubt, is left to the longer way.
func (s *Outbound) sendReady(ctx context.Context, j queue.Job) (ready bool, err error) {
	if r, ok := s.ahead.take(j.Message); ok && s.stillWaits(ctx, r) {
		return true, s.sendSealed(ctx, j, r)
	}
	var now readyMessage
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.CustomerByID(store.CustomerID(j.Lane))
		if err != nil {
			return notReady(err)
		}
		if !s.blocklist.Allowed(c.Number) || !c.Asked.IsZero() {
			return peers.ErrNotReady
		}
		m, body, err := pendingIn(tx, j.Message, record.StateAccepted)
		if err != nil {
			return notReady(err)
		}
		if m.Lost || !plain(m, body) {
			return peers.ErrNotReady
		}
		sealed, err := s.peers.SealReady(tx, c, saying(m, body, answered{}))
		if err != nil {
			return notReady(err)
		}
		now = readyMessage{id: m.ID, carrierID: m.CarrierID, customer: c, sealed: sealed}
		return s.putSealed(tx, m, sealed, answered{})
	})
	if errors.Is(err, peers.ErrNotReady) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("encrypting: %w", err)
	}
	s.ahead.inTurn(now.id)
	return true, s.sendSealed(ctx, j, now)
}

// stillWaits says whether a message that was encrypted ahead is known to wait: its job may be in memory after the
// message failed, or was erased.
func (s *Outbound) stillWaits(ctx context.Context, r readyMessage) bool {
	m, known := s.Store.Lately(r.id)
	if !known || m.State != record.StateAccepted || !s.blocklist.Allowed(r.customer.Number) {
		return false
	}
	return !s.NoStorage || s.hasContent(ctx, r.id)
}

// hasContent says whether a message's content is not lost: what was encrypted ahead must not outlive it.
func (s *Outbound) hasContent(ctx context.Context, id string) bool {
	var m store.Message
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.Message(id)
		return err
	})
	return err == nil && !m.Lost
}

// sendSealed sends a message as it was encrypted.
func (s *Outbound) sendSealed(ctx context.Context, j queue.Job, r readyMessage) error {
	s.endTyping(ctx, r.customer)
	err := s.Carrier.Send(ctx, carrier.Outgoing{
		ID: r.carrierID, To: r.customer.Number, Envelope: *r.sealed.Envelope, Other: r.sealed.Other, Receipts: true,
	})
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return s.sent(ctx, j, r.customer, r.id)
}

// notReady leaves the cause of an error to the longer way.
func notReady(err error) error { return fmt.Errorf("%w: %w", peers.ErrNotReady, err) }

// plain says whether a message is a text to all devices that answers nothing and was not encrypted yet.
func plain(m store.Message, body record.Content) bool {
	return m.Type == "text" && body.Envelope == nil && body.For == nil && body.ReplyTo == "" && body.IdentityHash == "" && body.Media == nil
}
