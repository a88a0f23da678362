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

// sendReady sends a plain text for the first time if nothing has to be asked of the carrier before:
// all is read, encrypted and written in one transaction, in which the writer remembers most of it. It
// says whether it did; what it cannot do, or what is in doubt, is left to the longer way.
func (s *Outbound) sendReady(ctx context.Context, j queue.Job) (ready bool, err error) {
	var c store.Customer
	var m store.Message
	var sealed peers.Sealed
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		if c, err = tx.CustomerByID(store.CustomerID(j.Lane)); err != nil {
			return notReady(err)
		}
		if !s.blocklist.Allowed(c.Number) || !c.Asked.IsZero() {
			return peers.ErrNotReady
		}
		var body record.Content
		if m, body, err = pendingIn(tx, j.Message, record.StateAccepted); err != nil {
			return notReady(err)
		}
		if !plain(m, body) {
			return peers.ErrNotReady
		}
		if sealed, err = s.peers.SealReady(tx, c, saying(m, body, answered{})); err != nil {
			return notReady(err)
		}
		return s.putSealed(tx, m, sealed, answered{})
	})
	if errors.Is(err, peers.ErrNotReady) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("encrypting: %w", err)
	}
	s.endTyping(ctx, c)
	err = s.Carrier.Send(ctx, carrier.Outgoing{ID: m.CarrierID, To: c.Number, Envelope: *sealed.Envelope, Other: sealed.Other, Receipts: true})
	if err != nil {
		return true, fmt.Errorf("sending: %w", err)
	}
	return true, s.sent(ctx, j, c, m)
}

// notReady leaves the cause of an error to the longer way.
func notReady(err error) error { return fmt.Errorf("%w: %w", peers.ErrNotReady, err) }

// plain says whether a message is a text to all devices that answers nothing and was not encrypted yet.
func plain(m store.Message, body record.Content) bool {
	return m.Type == "text" && body.Envelope == nil && body.For == nil && body.ReplyTo == "" && body.IdentityHash == "" && body.Media == nil
}
