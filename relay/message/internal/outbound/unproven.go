package outbound

import (
	"context"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Some clients (Profanity, Converse) send a receipt for a first message that they could not
// decrypt. So until something was decrypted that came back in a message's session, a receipt
// makes the message "delivered", but the relay keeps it ready, and sends it again in a new
// session when it learns that the message was not read: the client says so, the customer
// answers in clear, or their client begins a session of its own. It keeps the stanza id, so
// that a client that did read it drops the copy, and the bound of maxResends.

// beginsOnly says whether a message only begins sessions.
func beginsOnly(sealed peers.Sealed) bool {
	return !slices.ContainsFunc(keysOf(sealed), func(k carrier.Key) bool { return !k.PreKey })
}

// mayBegin says whether a message may begin a session.
func mayBegin(sealed peers.Sealed) bool {
	keys := keysOf(sealed)
	return len(keys) == 0 || slices.ContainsFunc(keys, func(k carrier.Key) bool { return k.PreKey })
}

// keysOf returns the keys of a message, for each of its devices.
func keysOf(sealed peers.Sealed) (keys []carrier.Key) {
	for _, e := range []*carrier.Envelope{sealed.Envelope, sealed.Other} {
		if e != nil {
			keys = append(keys, e.Keys...)
		}
	}
	return keys
}

// mayBeUnread says whether a message is at the carrier or further, but was perhaps not read.
func mayBeUnread(m store.Message, body record.Content) bool {
	return m.State == record.StateSent || m.State == record.StateDelivered && body.Unproven
}

// unreadIn reads a message that may be unread, or returns store.ErrNotFound.
func unreadIn(tx *store.Tx, id string) (store.Message, record.Content, error) {
	m, body, err := pendingIn(tx, id, record.StateSent, record.StateDelivered)
	if err == nil && !mayBeUnread(m, body) {
		err = store.ErrNotFound
	}
	return m, body, err
}

// unproven returns the messages to a customer that are unproven and were encrypted before the
// task's time, the youngest first; those for the task's device if it names one.
func (s *Outbound) unproven(tx *store.Tx, c store.CustomerID, t record.Task) (found []store.Message, err error) {
	sent, err := tx.MessagesOf(c, store.Outbound, s.Now(), maxResend)
	if err != nil {
		return nil, err
	}
	for _, m := range sent {
		body, err := record.ContentOf(m)
		if err != nil {
			return nil, err
		}
		toIt := t.Device == 0 || body.For[t.Device] != ""
		if toIt && mayBeUnread(m, body) && body.Unproven && !body.Waits && !body.Sealed.IsZero() && !body.Sealed.After(t.Until) {
			found = append(found, m)
		}
	}
	return found, nil
}

// notRead sends again what the customer has not read, as far as it was sent before the sign.
func (s *Outbound) notRead(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
	if t.Message != "" {
		return s.beginAgain(ctx, j, c, t)
	}
	again := record.Task{Kind: record.KindNotRead}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		found, err := s.unproven(tx, c.ID, t)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return record.ErrFinished
		}
		body, err := record.ContentOf(found[0])
		again.Message, again.Since = found[0].ID, body.Sealed
		return err
	})
	if err != nil {
		return err
	}
	return s.beginAgain(ctx, j, c, again)
}

// unreadable sends a message again that the customer's client says it could not read. A copy that was sent since the sign
// came is not the one that it is about.
func (s *Outbound) unreadable(tx *store.Tx, c store.Customer, m store.Message, came time.Time) error {
	body, err := record.ContentOf(m)
	copied := body.Resent > 0 && !body.Sealed.Before(came)
	if err != nil || !mayBeUnread(m, body) || !body.Unproven || body.Sealed.IsZero() || copied {
		return err
	}
	return s.Enqueue(tx, c.ID, "", record.Task{Kind: record.KindNotRead, Message: m.ID, Since: body.Sealed})
}

// proven notes that a device answered in a session that we began: it can read what was sent in
// it. If that was one message, the device has it, whether its client sends receipts or not.
func (s *Outbound) proven(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		found, err := s.unproven(tx, c.ID, t)
		if err != nil {
			return err
		}
		for _, m := range found {
			if err := record.PutBody(tx, m, func(b *record.Content) { b.Unproven = false }); err != nil {
				return err
			}
		}
		if len(found) == 1 {
			if err := s.advanceMessage(tx, found[0].ID, record.StateDelivered); err != nil {
				return err
			}
		}
		return tx.Finish(j.ID)
	})
	return err
}
