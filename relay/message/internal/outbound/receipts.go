package outbound

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// maxRead bounds how many earlier messages one read marker covers.
const maxRead = 256

// Receipt receives a receipt. It counts only if it comes from the customer to whom the message
// was sent.
func (s *Outbound) Receipt(ctx context.Context, b *base.Batch, r carrier.Receipt) {
	state := record.StateDelivered
	if r.Kind == carrier.Read {
		state = record.StateRead
	}
	s.about(ctx, b, r.From, r.ID, state, func(tx *store.Tx, c store.Customer, m store.Message) error {
		if r.Kind != carrier.Read {
			return s.advance(tx, c, m, record.StateDelivered, s.Now())
		}
		return s.read(tx, c, m)
	}, func() {})
}

// read marks a message and those before it, as XEP-0333 says: oldest first, so that
// the business learns of them in order.
func (s *Outbound) read(tx *store.Tx, c store.Customer, m store.Message) error {
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
			continue // this one was not read, whatever was read after it
		}
		if err := s.advance(tx, c, e, record.StateRead, now); err != nil {
			return err
		}
	}
	return s.advance(tx, c, m, record.StateRead, now)
}
