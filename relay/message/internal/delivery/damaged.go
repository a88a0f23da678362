package delivery

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// replaceWebhook replaces a damaged webhook about a customer's message with one that says
// "unsupported". A damaged status is dropped: a later status implies it.
func (s *Webhooks) replaceWebhook(tx *store.Tx, job int64, message string) error {
	m, err := tx.Message(message)
	if err == nil && m.Direction == store.Inbound {
		var c store.Customer
		if c, err = tx.CustomerByID(m.Customer); err == nil {
			err = s.NotifyBusiness(tx, c.ID, webhook.Message{
				ID: m.ID, From: c.Number, User: c.UserID, Name: c.Name, Time: m.Created,
				Errors: []webhook.Error{webhook.Unsupported(base.DamagedDetails)},
			}, record.Content{})
			if err != nil {
				return err
			}
		}
	}
	if err != nil && !record.IsNotFound(err) && !errors.Is(err, seal.ErrTampered) {
		return err
	}
	return tx.Finish(job)
}
