package message

import (
	"context"
	"errors"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// damagedDetails says to the business that a message was received and cannot be read any
// more.
const damagedDetails = "What the relay kept of the message was damaged: ask the customer to send it once more."

// Deliver returns a worker for the queue of webhooks that gives deliver what can be
// delivered. Of a webhook whose row is damaged it tells the business what is known: that
// there was a message.
func (s *Service) Deliver(deliver queue.Worker) queue.Worker {
	return func(ctx context.Context, j queue.Job) queue.Result {
		if len(j.Body) > 0 {
			return deliver(ctx, j)
		}
		s.Log.LogAttrs(ctx, slog.LevelError, "a webhook's row in the store is damaged")
		if err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.replaceWebhook(tx, j) }); err != nil {
			return queue.Retry(firstRetry)
		}
		s.Deliveries()
		return queue.Done()
	}
}

// replaceWebhook puts a webhook that says "unsupported" in the place of one about a
// customer's message that is damaged. Of statuses a later one tells.
func (s *Service) replaceWebhook(tx *store.Tx, j queue.Job) error {
	m, err := tx.Message(j.Message)
	if err == nil && m.Direction == store.Inbound {
		var c store.Customer
		if c, err = tx.CustomerByID(m.Customer); err == nil {
			payload, err := s.Webhook.MessagePayload(webhook.Message{
				ID: m.ID, From: c.Number, Name: c.Name, Time: m.Created,
				Errors: []webhook.Error{webhook.Unsupported(damagedDetails)},
			})
			if err := s.notify(tx, c.ID, m.ID, payload, err); err != nil {
				return err
			}
		}
	}
	if err != nil && !isNotFound(err) && !errors.Is(err, seal.ErrTampered) {
		return err
	}
	return tx.Finish(j.ID)
}
