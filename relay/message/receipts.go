package message

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// maxRead bounds how many earlier messages one read marker covers.
const maxRead = 256

// receipt takes a customer's receipt. It counts only from the customer whom the message
// was sent to.
func (s *Service) receipt(ctx context.Context, b *batch, r carrier.Receipt) {
	state := stateDelivered
	if r.Kind == carrier.Read {
		state = stateRead
	}
	s.about(ctx, b, r.From, r.ID, state, func(tx *store.Tx, c store.Customer, m store.Message) error {
		if r.Kind != carrier.Read {
			return s.advance(tx, c, m, stateDelivered, s.Now())
		}
		return s.read(tx, c, m)
	}, func() {})
}

// read marks a message and those before it, as XEP-0333 says: oldest first, so that
// the business learns of them in order.
func (s *Service) read(tx *store.Tx, c store.Customer, m store.Message) error {
	earlier, err := tx.MessagesUnderWay(c.ID, store.Outbound, m.Created, maxRead)
	if err != nil {
		return err
	}
	now := s.Now()
	for i := len(earlier) - 1; i >= 0; i-- {
		e := earlier[i]
		if e.ID == m.ID {
			continue
		}
		if waits, err := cameBack(e); err != nil {
			return err
		} else if waits {
			continue // it was not read, whatever was read after it
		}
		if err := s.advance(tx, c, e, stateRead, now); err != nil {
			return err
		}
	}
	return s.advance(tx, c, m, stateRead, now)
}

// about runs fn on the message that was sent to a customer under a stanza's id, if
// there is one that has not come to a state yet. Key transport messages have stanzas
// and no message. What says nothing new, as when the archive brings it again, keeps
// nobody who is idle. Done is called when what fn wrote is stored.
func (s *Service) about(ctx context.Context, b *batch, peer phone.Number, stanza, state string, fn func(*store.Tx, store.Customer, store.Message) error, done func()) {
	if stanza == "" || len(stanza) > store.MaxIdentifier {
		return
	}
	b.update(ctx, func(tx *store.Tx) error {
		m, err := tx.MessageByCarrierID(store.Outbound, stanza)
		if isNotFound(err) || err == nil && order(m.State) >= order(state) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := tx.CustomerByID(m.Customer)
		if isNotFound(err) || errors.Is(err, seal.ErrTampered) || err == nil && c.Number != peer {
			return errNoNews
		}
		if err != nil {
			return err
		}
		return fn(tx, c, m)
	}, func(err error) error {
		if errors.Is(err, errNoNews) {
			return nil
		}
		if err == nil {
			done()
		}
		s.Deliveries()
		return err
	})
}
