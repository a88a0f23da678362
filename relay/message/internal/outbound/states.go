package outbound

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// A message to a customer goes through these states and never back:
//
//	accepted ───► sent ───► delivered ───► read
//	    │           │
//	    └───────────┴─────► failed
//
// Accepted: it is stored. Sent: the carrier has it, whether for the first time or again.
// Delivered and read: the customer's client says so. Failed: it will not arrive; a delivered
// message no longer fails. The business is told about a skipped state before the state that
// implies it.

// order ranks the states of an outgoing message.
func order(state string) int {
	switch state {
	case record.StateSent:
		return 1
	case record.StateDelivered:
		return 2
	case record.StateRead:
		return 3
	case record.StateFailed:
		return 4
	}
	return 0
}

// eventOf is what to count when an outgoing message reaches a state.
func eventOf(state string) base.Event {
	switch state {
	case record.StateSent:
		return base.EventSent
	case record.StateDelivered:
		return base.EventDelivered
	case record.StateRead:
		return base.EventRead
	}
	return base.EventFailed
}

// advance moves an outgoing message to a later state, writes it as given, and tells the
// business, unless it is that far already. The business always learns that a message was sent
// before it learns that it was delivered, and that before it learns that it was read: the
// customer's receipt may overtake the carrier's acknowledgement, and some clients (Gajim, to
// peers who are not on its contact list) send read markers and no receipts. A delivered message
// does not fail afterwards.
func (s *Outbound) advance(tx *store.Tx, c store.Customer, m store.Message, state string, at time.Time, errs ...webhook.Error) error {
	if order(state) <= order(m.State) || state == record.StateFailed && order(m.State) >= order(record.StateDelivered) {
		return nil
	}
	for _, implied := range []string{record.StateSent, record.StateDelivered} {
		if state == record.StateFailed || order(implied) <= order(m.State) || order(implied) >= order(state) {
			continue
		}
		reached(&m, implied, at)
		if err := s.tell(tx, c, m, implied, at, nil); err != nil {
			return err
		}
	}
	if err := putState(tx, m, state, at, errs); err != nil {
		return err
	}
	if m.Lost && m.Type == record.TypeCaption && state == record.StateFailed {
		if err := s.captionLost(tx, c, m, at); err != nil {
			return err
		}
	}
	return s.tell(tx, c, m, state, at, errs)
}

// captionLost tells the business that a file's caption is lost, of which it knows only the file's message. That
// does not fail if the customer has it; but nothing is lost in silence.
func (s *Outbound) captionLost(tx *store.Tx, c store.Customer, caption store.Message, at time.Time) error {
	body, err := record.ContentOf(caption)
	if err != nil {
		return err
	}
	file, err := tx.Message(body.With)
	if record.IsNotFound(err) || err == nil && file.State == record.StateFailed {
		return nil
	}
	if err != nil {
		return err
	}
	why := webhook.ContentGone("The relay keeps content in memory only, for at most an hour, and lost the text beside the file, its caption or name, before it was certain that the customer has it: send the text again.")
	if order(file.State) >= order(record.StateDelivered) {
		return s.tell(tx, c, file, record.StateFailed, at, []webhook.Error{why})
	}
	return s.advance(tx, c, file, record.StateFailed, at, why)
}

// reached notes when a message came into a state that others follow.
func reached(m *store.Message, state string, at time.Time) {
	switch state {
	case record.StateSent:
		m.Sent = at
	case record.StateDelivered:
		m.Delivered = at
	}
}

// putState writes a message's state, and drops its ciphertext once it is no longer needed.
func putState(tx *store.Tx, m store.Message, state string, at time.Time, errs []webhook.Error) error {
	m.State, m.Updated = state, at
	reached(&m, state, at)
	if state == record.StateSent {
		return tx.ReplaceMessage(m)
	}
	return record.PutBody(tx, m, func(b *record.Content) {
		b.Envelope, b.Other = nil, nil
		b.Unproven = b.Unproven && state == record.StateDelivered
		if len(errs) > 0 {
			b.Failure = errs[0].Details
		}
	})
}

// count counts what the business is told of, and meters what was sent.
func (s *Outbound) count(tx *store.Tx, m store.Message, state string, at time.Time) error {
	if is, err := s.IsCanary(tx, m.Customer); err != nil || is {
		return err
	}
	switch state {
	case record.StateSent:
		if err := tx.AddCount(at, 1, 0); err != nil {
			return err
		}
		return record.Meter(tx, at, metering.Out, m.Type, fileSize(tx, m))
	case record.StateDelivered:
		return tx.AddCount(at, 0, 1)
	}
	return nil
}

// judge counts what says something about the business's conduct. That it blocked the recipient itself, that the carrier was in
// trouble, or that the relay was restored, does not.
func (s *Outbound) judge(tx *store.Tx, state string, errs []webhook.Error) {
	switch {
	case state == record.StateDelivered:
		tx.Then(func() { s.Conduct.Delivered(s.Now()) })
	case state == record.StateFailed && len(errs) > 0 && errs[0].Code == webhook.CodeUndeliverable &&
		!slices.Contains([]string{blockedDetails, noKeysDetails, restoredDetails}, errs[0].Details):
		tx.Then(func() { s.Conduct.Undelivered(s.Now()) })
	}
}

// fileSize is how large a message's file is, in bytes; 0 for none, and for one that was deleted since.
func fileSize(tx *store.Tx, m store.Message) int64 {
	if !media.Kind(m.Type).Valid() {
		return 0
	}
	body, err := record.ContentOf(m)
	if err != nil || body.Media == nil {
		return 0
	}
	f, err := tx.Media(body.Media.ID)
	if err != nil {
		return 0
	}
	return f.Size
}

func (s *Outbound) tell(tx *store.Tx, c store.Customer, m store.Message, state string, at time.Time, errs []webhook.Error) error {
	if m.Type == record.TypeCaption || m.Type == record.TypeNotice {
		return nil // the business knows only the message that it goes with, or did not send it
	}
	if m.Type == record.TypeReaction && (state == record.StateDelivered || state == record.StateRead) {
		return nil // the API has no such webhooks for reactions
	}
	s.Counts.Add(eventOf(state))
	s.judge(tx, state, errs)
	if err := s.count(tx, m, state, at); err != nil {
		return err
	}
	payload, err := s.Webhook.StatusPayload(webhook.Status{
		ID: m.ID, State: webhook.State(state), Time: at, Recipient: c.Number, User: c.UserID, Name: c.Name, ToUser: record.WentToUser(m),
		Opaque: m.Opaque, Errors: errs,
	})
	return s.Notify(tx, store.Job{Customer: c.ID, Message: m.ID, Life: m.Life}, payload, err)
}

// advanceMessage is advance for a message that may be gone.
func (s *Outbound) advanceMessage(tx *store.Tx, id, state string, errs ...webhook.Error) error {
	m, err := tx.Message(id)
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := tx.CustomerByID(m.Customer)
	if errors.Is(err, seal.ErrTampered) {
		c, err = store.Customer{ID: m.Customer}, nil // the business knows the message by its id
	}
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.advance(tx, c, m, state, s.Now(), errs...)
}

// about runs fn on the message that was sent to a customer under a stanza's id, if there is one
// that has not reached a state yet. Key transport messages have a stanza but no message. A
// receipt that says nothing new, for example from the archive, does not extend an idle
// customer's life.
func (s *Outbound) about(ctx context.Context, b *base.Batch, peer phone.Number, stanza, state string, fn func(*store.Tx, store.Customer, store.Message) error) {
	if stanza == "" || len(stanza) > store.MaxIdentifier {
		return
	}
	b.Update(ctx, func(tx *store.Tx) error {
		m, err := tx.MessageByCarrierID(store.Outbound, stanza)
		if record.IsNotFound(err) || err == nil && order(m.State) >= order(state) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := tx.CustomerByID(m.Customer)
		if record.IsNotFound(err) || errors.Is(err, seal.ErrTampered) || err == nil && c.Number != peer {
			return record.ErrNoNews
		}
		if err != nil {
			return err
		}
		return fn(tx, c, m)
	}, func(err error) error {
		if errors.Is(err, record.ErrNoNews) {
			return nil
		}
		return err
	})
}
