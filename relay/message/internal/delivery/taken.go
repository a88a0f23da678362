package delivery

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Without storage a message may be lost until the business took it. So only then does the customer's
// client get its receipt: what has none is not there.

// maxParts is more webhooks than one customer's message leads to, and maxQueued more than wait for one
// customer.
const (
	maxParts  = 2 * media.MaxFiles
	maxQueued = 1 << 20
)

// Taken removes the jobs of webhooks that the business took, all or none, and queues the receipts that
// follow. A message whose content was lost gets none.
func (s *Webhooks) Taken(ctx context.Context, jobs ...queue.Job) error {
	err := s.Store.UpdateLate(ctx, func(tx *store.Tx) error {
		for _, j := range jobs {
			if err := s.taken(tx, j.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ending webhooks: %w", err)
	}
	return nil
}

// taken ends one job, and queues the receipt that follows.
func (s *Webhooks) taken(tx *store.Tx, id int64) error {
	if !s.NoStorage {
		return tx.Finish(id)
	}
	j, err := tx.JobOf(base.QueueWebhook, id)
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.Finish(id); err != nil {
		return err
	}
	receipt := confirmOf(j)
	if receipt.Stanza == "" {
		return nil
	}
	if missing, err := s.missing(tx, j, receipt); err != nil || missing {
		return err
	}
	return s.EnqueueReceipt(tx, j.Customer, receipt.Stanza)
}

// missing says whether something of what a customer's message was is lost, or was not taken yet.
func (s *Webhooks) missing(tx *store.Tx, j store.Job, receipt record.Confirm) (bool, error) {
	if j.Lost {
		return true, nil
	}
	if j.Message != "" {
		m, err := tx.Message(j.Message)
		if record.IsNotFound(err) {
			return true, nil
		}
		if err != nil || m.Lost {
			return m.Lost, err
		}
		if lost, err := lostBeside(tx, m, receipt); err != nil || lost {
			return lost, err
		}
	}
	if !receipt.Parts {
		return false, nil
	}
	for _, name := range []string{base.QueueWebhook, base.QueueMedia, base.QueueDead} {
		jobs, _, err := tx.DueOf(store.Wanted{Queue: name, Customer: j.Customer, Now: s.Now().Add(anyTime), Limit: maxQueued})
		if err != nil {
			return false, err
		}
		for _, other := range jobs {
			if confirmOf(other).Stanza == receipt.Stanza {
				return true, nil
			}
		}
	}
	return false, nil
}

// lostBeside says whether another part of the same message of the customer's is lost.
func lostBeside(tx *store.Tx, m store.Message, receipt record.Confirm) (bool, error) {
	if !receipt.Parts {
		return false, nil
	}
	near, err := tx.MessagesOf(m.Customer, store.Inbound, m.Created, maxParts)
	for _, other := range near {
		if other.Lost && other.CarrierID == m.CarrierID {
			return true, nil
		}
	}
	return false, err
}

// confirmOf reads the receipt that follows from a job, zero for none: of a webhook, or of a file that is
// still at the carrier.
func confirmOf(j store.Job) (receipt record.Confirm) {
	if j.Queue == base.QueueMedia {
		var f record.ArrivedFile
		_ = json.Unmarshal(j.Body, &f) // of a damaged one nothing follows
		return f.Confirm
	}
	_, body, err := record.LetterOf(j.Body)
	if err == nil {
		receipt, _, _ = record.ConfirmOf(body)
	}
	return receipt
}
