package outbound

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// maxBehind is how many messages that wait behind one are encrypted with it.
const maxBehind = 16

// sendReady sends a plain text for the first time if nothing has to be asked of the carrier before. What was not
// encrypted ahead is read, encrypted and written in one transaction, in which the writer remembers most of it, and some that wait
// behind it in the same one: they are ahead then, and so are those that are accepted after them. It
// says whether it did; what it cannot do, or what is in doubt, is left to the longer way.
func (s *Outbound) sendReady(ctx context.Context, j queue.Job) (ready bool, err error) {
	if r, ok := s.ahead.take(j.Message); ok && s.stillWaits(ctx, r) {
		return true, s.sendSealed(ctx, j, r)
	}
	var now readyMessage
	var behind []readyMessage
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.CustomerByID(store.CustomerID(j.Lane))
		if err != nil {
			return notReady(err)
		}
		if !s.blocklist.Allowed(c.Number) || !c.Asked.IsZero() {
			return peers.ErrNotReady
		}
		if now, err = s.sealWaiting(tx, c, j.Message); err != nil {
			return notReady(err)
		}
		behind, err = s.sealBehind(tx, c, j.Message)
		return err
	})
	if errors.Is(err, peers.ErrNotReady) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("encrypting: %w", err)
	}
	s.ahead.inTurn(now.id)
	for _, r := range behind {
		s.ahead.put(r)
	}
	return true, s.sendSealed(ctx, j, now)
}

// sealWaiting encrypts a message that waits.
func (s *Outbound) sealWaiting(tx *store.Tx, c store.Customer, id string) (r readyMessage, err error) {
	m, body, err := pendingIn(tx, id, record.StateAccepted)
	if err != nil {
		return r, err
	}
	if m.Lost || !plain(m, body) {
		return r, errOtherwise
	}
	sealed, err := s.peers.SealReady(tx, c, saying(m, body, answered{}))
	if err != nil {
		return r, err
	}
	return readyMessage{id: m.ID, carrierID: m.CarrierID, customer: c, sealed: sealed}, s.putSealed(tx, m, sealed, answered{})
}

// errOtherwise means that a message is not one that can be sent by itself at once.
var errOtherwise = errors.New("not a plain text")

// sealBehind encrypts the first of a customer's messages that wait behind one, up to one that is not a plain text.
func (s *Outbound) sealBehind(tx *store.Tx, c store.Customer, id string) (sealed []readyMessage, err error) {
	waiting, err := tx.QueuedFor(base.QueueOutbox, c.ID, maxAheadOf)
	if err != nil {
		return nil, err
	}
	at := slices.Index(waiting, id)
	if at < 0 {
		return nil, nil
	}
	waiting = waiting[at+1:]
	for _, next := range waiting[:min(len(waiting), maxBehind)] {
		if next == "" || !s.ahead.room() {
			break
		}
		r, err := s.sealWaiting(tx, c, next)
		if errors.Is(err, errOtherwise) || record.IsNotFound(err) {
			break
		}
		if err != nil {
			return nil, notReady(err)
		}
		sealed = append(sealed, r)
	}
	return sealed, nil
}

// stillWaits says whether a message that was encrypted ahead is known to wait: its job may be in memory after the
// message failed, or was erased.
func (s *Outbound) stillWaits(ctx context.Context, r readyMessage) bool {
	state, known := s.Store.StateLately(r.id)
	if !known || state != record.StateAccepted || !s.blocklist.Allowed(r.customer.Number) {
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
	return s.sent(ctx, j, r.customer, r.id, mayBegin(r.sealed))
}

// notReady leaves the cause of an error to the longer way.
func notReady(err error) error { return fmt.Errorf("%w: %w", peers.ErrNotReady, err) }

// plain says whether a message is a text to all devices that answers nothing and was not encrypted yet.
func plain(m store.Message, body record.Content) bool {
	return m.Type == "text" && body.Envelope == nil && body.For == nil && body.ReplyTo == "" && body.IdentityHash == "" && body.Media == nil
}
