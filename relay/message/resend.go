package message

import (
	"context"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A customer's device that lost its sessions could not read what was sent in them.
// When it has a new session with the same identity key, the messages that nobody
// confirmed are sent again, under the stanza ids that they had: clients that did
// read them drop the second copy, and receipts fit. A device that comes with
// another key gets nothing again: what was written to one key is not sent to
// another because the carrier says so.

const (
	// maxResend is how many of the latest messages are looked at.
	maxResend = 64
	// maxResends is how often one message is sent again: a peer that makes sessions begin
	// again and again must not have the relay repeat itself without end.
	maxResends = 2
)

// findLost queues the messages that a device is to be sent again, oldest first.
func (s *Service) findLost(ctx context.Context, j queue.Job, c store.Customer, t task) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		d, err := tx.Device(c.ID, t.Device)
		if err != nil {
			return err
		}
		sent, err := tx.MessagesOf(c.ID, store.Outbound, s.Now(), maxResend)
		if err != nil {
			return err
		}
		for _, m := range slices.Backward(sent) {
			if m.State != stateSent || m.Created.Before(t.Since) {
				continue
			}
			body, err := contentOf(m)
			if err != nil {
				return err
			}
			if !t.Until.IsZero() && body.Sealed.After(t.Until) {
				continue
			}
			if body.Resent >= maxResends || body.For[t.Device] != identityHash(d.IdentityKey) {
				continue
			}
			// The ciphertext of the old session is of no use to the device.
			if err := putBody(tx, m, func(b *content) { b.Resent++; b.Envelope = nil }); err != nil {
				return err
			}
			if err := s.enqueue(tx, c.ID, "", task{Kind: kindAgain, Device: t.Device, Message: m.ID}); err != nil {
				return err
			}
		}
		return tx.Finish(j.ID)
	})
	if isNotFound(err) {
		err = errFinished
	}
	s.wakeOutbox()
	return err
}

// sendAgain sends a message again to the devices that it was for, if no receipt came
// meanwhile.
func (s *Service) sendAgain(ctx context.Context, c store.Customer, t task) error {
	m, body, err := s.pending(ctx, t.Message, stateSent)
	if err != nil {
		return err
	}
	if body.Envelope == nil {
		if body.Envelope, err = s.sealText(ctx, c, m, body); err != nil {
			return err
		}
	}
	err = s.Link.Send(ctx, carrier.Outgoing{ID: m.CarrierID, To: c.Number, Envelope: *body.Envelope, Receipts: true})
	if err != nil {
		return fmt.Errorf("sending again: %w", err)
	}
	if err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.awaitAnswer(tx, c.ID, m.ID) }); err != nil {
		return err
	}
	s.counts.add(EventResent)
	return errFinished
}

// stillFor returns those of a message's devices that have the identity keys yet that
// it was encrypted for. For a message that was not encrypted yet it returns all.
func (s *Service) stillFor(ctx context.Context, c store.Customer, body content, devices []carrier.DeviceID) ([]carrier.DeviceID, error) {
	if body.For == nil {
		return devices, nil
	}
	var same []carrier.DeviceID
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		same = nil
		for _, d := range devices {
			known, err := tx.Device(c.ID, d)
			if err != nil {
				return err
			}
			if known.IdentityKey != nil && identityHash(known.IdentityKey) == body.For[d] {
				same = append(same, d)
			}
		}
		return nil
	})
	if err == nil && len(same) == 0 {
		err = errUnreachable
	}
	return same, err
}
