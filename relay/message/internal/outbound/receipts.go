package outbound

import (
	"context"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// maxRead bounds how many earlier messages one read marker covers.
const maxRead = 256

// Receipt receives a receipt. It counts only if it comes from the customer to whom the message
// was sent.
func (s *Outbound) Receipt(ctx context.Context, b *base.Batch, r carrier.Receipt) {
	state := record.StateDelivered
	if r.Kind != carrier.Delivered {
		state = record.StateRead
	}
	s.about(ctx, b, r.From, r.ID, state, func(tx *store.Tx, c store.Customer, m store.Message) error {
		switch r.Kind {
		case carrier.Unreadable:
			return s.unreadable(tx, c, m, b.Came)
		case carrier.Read:
			return s.read(tx, c, m)
		case carrier.Delivered:
		}
		return s.advance(tx, c, m, record.StateDelivered, s.Now())
	})
}

// before returns those of some messages, youngest first, that were accepted before m. Several may
// have been accepted in the same millisecond.
func before(m store.Message, messages []store.Message) []store.Message {
	if i := slices.IndexFunc(messages, func(e store.Message) bool { return e.ID == m.ID }); i >= 0 {
		return messages[i+1:]
	}
	i := slices.IndexFunc(messages, func(e store.Message) bool { return e.Created.Before(m.Created) })
	if i < 0 {
		return nil
	}
	return messages[i:]
}

// read marks a message and those before it, as XEP-0333 says: oldest first, so that
// the business learns of them in order.
func (s *Outbound) read(tx *store.Tx, c store.Customer, m store.Message) error {
	earlier, err := tx.MessagesUnderWay(c.ID, store.Outbound, m.Created, maxRead)
	if err != nil {
		return err
	}
	now := s.Now()
	for _, e := range slices.Backward(before(m, earlier)) {
		if waits, err := cameBack(e); err != nil {
			return err
		} else if waits {
			continue // this one was not read, whatever was read after it
		}
		if err := s.advance(tx, c, e, record.StateRead, now); err != nil {
			return err
		}
	}
	return s.advance(tx, c, m, record.StateRead, now)
}

// wasAnswered notes that a customer's encrypted message answers one of the business's: they have it, and
// when the answer repeats its words, their client showed it. It says nothing about earlier ones.
func (s *Outbound) wasAnswered(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
	state := record.StateDelivered
	if t.Receipt == carrier.Read {
		state = record.StateRead
	}
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := tx.Message(t.Message)
		if err == nil && m.Customer == c.ID && m.Direction == store.Outbound {
			err = s.advance(tx, c, m, state, s.Now())
		}
		if err != nil && !record.IsNotFound(err) {
			return err
		}
		return tx.Finish(j.ID)
	})
	return err
}
