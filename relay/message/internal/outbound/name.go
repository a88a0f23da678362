package outbound

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// nameTime bounds the questions about a name: what else goes to the customer waits for it.
const nameTime = 5 * time.Second

// fetchName notes the name that a customer gives themselves, for the webhooks that follow. It
// is tried once: a name is not worth more.
func (s *Outbound) fetchName(ctx context.Context, j queue.Job, c store.Customer) error {
	ctx, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	name, err := s.Carrier.Nickname(ctx, c.Number)
	if errors.Is(err, carrier.ErrOffline) {
		return err
	}
	if err != nil || name == c.Name {
		return record.ErrFinished
	}
	return s.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		now, err := tx.CustomerByID(c.ID)
		if err != nil {
			return err
		}
		now.Name = name
		if err := tx.PutCustomer(&now); err != nil {
			return err
		}
		return tx.Finish(j.ID)
	})
}
