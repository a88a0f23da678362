package outbound

import (
	"context"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A customer's device that lost its sessions could not read what was sent in them. When it has
// a new session with the same identity key, the messages that nobody confirmed are sent again
// under their old stanza ids: clients that did read them drop the second copy, and receipts
// still match. A device with another key gets nothing again: what was written to one key is
// not sent to another just because the carrier says so.

const (
	// maxResend is how many of the latest messages are searched.
	maxResend = 64
	// maxResends is how often one message is sent again: a peer that keeps starting new
	// sessions must not make the relay repeat itself without end.
	maxResends = 2
)

// findLost queues the messages to send to a device again, oldest first.
func (s *Outbound) findLost(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
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
			if err := s.resendIfLost(tx, m, t, peers.IdentityHash(d.IdentityKey)); err != nil {
				return err
			}
		}
		return tx.Finish(j.ID)
	})
	if record.IsNotFound(err) {
		err = record.ErrFinished
	}
	return err
}

// resendIfLost queues a message for the device with that identity key, if the device may not
// have been able to read it and nobody confirmed it.
func (s *Outbound) resendIfLost(tx *store.Tx, m store.Message, t record.Task, key string) error {
	body, err := record.ContentOf(m)
	if err != nil || !mayBeUnread(m, body) || m.Created.Before(t.Since) {
		return err
	}
	inNewSession := !t.Until.IsZero() && body.Sealed.After(t.Until)
	if inNewSession || body.Sealed.IsZero() || body.Resent >= maxResends || body.For[t.Device] != key {
		return nil
	}
	return s.queueAgain(tx, m, t.Device)
}

// queueAgain queues a message to be encrypted and sent again; the ciphertext of the old session
// is useless. Until it is encrypted, Sealed is zero, so that a second reason to send it again
// finds that it is queued already. The device is the one that lost it, or zero for all.
func (s *Outbound) queueAgain(tx *store.Tx, m store.Message, d carrier.DeviceID) error {
	if err := record.PutBody(tx, m, func(b *record.Content) {
		b.Resent++
		b.Envelope, b.Other, b.Sealed = nil, nil, time.Time{}
	}); err != nil {
		return err
	}
	return s.Enqueue(tx, m.Customer, "", record.Task{Kind: record.KindAgain, Device: d, Message: m.ID})
}

// sendAgain sends a message again to the devices that it was for, if no receipt has come
// meanwhile.
func (s *Outbound) sendAgain(ctx context.Context, c store.Customer, t record.Task) error {
	var m store.Message
	var body record.Content
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		m, body, err = unreadIn(tx, t.Message)
		return err
	})
	if err != nil {
		return record.Gone(err)
	}
	if m.Lost { // the job is not the message's, which fails all the same
		return s.failLost(ctx, m.ID)
	}
	if err := s.send(ctx, c, m, body); err != nil {
		return err
	}
	if err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.awaitAnswer(tx, c.ID, m.ID) }); err != nil {
		return err
	}
	s.Counts.Add(base.EventResent)
	return record.ErrFinished
}
