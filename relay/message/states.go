package message

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// order ranks the states of an outgoing message; it never goes back.
func order(state string) int {
	switch state {
	case stateSent:
		return 1
	case stateDelivered:
		return 2
	case stateRead:
		return 3
	case stateFailed:
		return 4
	}
	return 0
}

// eventOf is what to count when an outgoing message comes to a state.
func eventOf(state string) Event {
	switch state {
	case stateSent:
		return EventSent
	case stateDelivered:
		return EventDelivered
	case stateRead:
		return EventRead
	}
	return EventFailed
}

// advance moves an outgoing message on, which is written as it is given, and tells the
// business, unless it is that far already. The business always learns that it was sent
// before it learns that it was delivered, and that before it learns that it was read: the
// customer's receipt may overtake the carrier's acknowledgement, and some clients (Gajim,
// to those who are not on its contact list) send read markers and no receipts. What was
// delivered does not fail afterwards.
func (s *Service) advance(tx *store.Tx, c store.Customer, m store.Message, state string, at time.Time, errs ...webhook.Error) error {
	if order(state) <= order(m.State) || state == stateFailed && order(m.State) >= order(stateDelivered) {
		return nil
	}
	for _, implied := range []string{stateSent, stateDelivered} {
		if state == stateFailed || order(implied) <= order(m.State) || order(implied) >= order(state) {
			continue
		}
		if err := s.tell(tx, c, m, implied, at, nil); err != nil {
			return err
		}
	}
	if err := putState(tx, m, state, at); err != nil {
		return err
	}
	return s.tell(tx, c, m, state, at, errs)
}

// putState writes a message's state, and drops its ciphertext when nobody needs it any
// more.
func putState(tx *store.Tx, m store.Message, state string, at time.Time) error {
	m.State, m.Updated = state, at
	if state == stateSent {
		return tx.ReplaceMessage(m)
	}
	return putBody(tx, m, func(b *content) { b.Envelope = nil })
}

func (s *Service) tell(tx *store.Tx, c store.Customer, m store.Message, state string, at time.Time, errs []webhook.Error) error {
	if m.Type == typeCaption || m.Type == typeNotice {
		return nil // the business knows of the message that it goes with, or did not send it
	}
	s.counts.add(eventOf(state))
	payload, err := s.Webhook.StatusPayload(webhook.Status{
		ID: m.ID, State: webhook.State(state), Time: at, Recipient: c.Number, Opaque: m.Opaque, Errors: errs,
	})
	return s.notify(tx, c.ID, m.ID, payload, err)
}

// advanceMessage moves a message on, if it is still there.
func (s *Service) advanceMessage(tx *store.Tx, id, state string, errs ...webhook.Error) error {
	m, err := tx.Message(id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := tx.CustomerByID(m.Customer)
	if errors.Is(err, seal.ErrTampered) {
		c, err = store.Customer{ID: m.Customer}, nil // the business knows the message by its id
	}
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.advance(tx, c, m, state, s.Now(), errs...)
}
