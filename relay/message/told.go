package message

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Deliver returns a worker for the queue of webhooks that gives deliver what can be
// delivered, as its payload. Of a webhook whose row is damaged it tells the business what
// is known: that there was a message.
func (s *Service) Deliver(deliver queue.Worker) queue.Worker {
	return func(ctx context.Context, j queue.Job) (r queue.Result) {
		if len(j.Body) == 0 {
			s.Log.LogAttrs(ctx, slog.LevelError, "a webhook's row in the store is damaged")
			return s.settle(ctx, func(tx *store.Tx) error { return s.replaceWebhook(tx, j) })
		}
		if j.Body[0] != toldVersion {
			return deliver(ctx, j)
		}
		payload, err := s.wordMessage(ctx, j)
		switch {
		case errors.Is(err, errTold):
			s.Log.LogAttrs(ctx, slog.LevelError, "a webhook in the store cannot be read")
			return s.settle(ctx, func(tx *store.Tx) error { return s.replaceWebhook(tx, j) })
		case errors.Is(err, errFinished):
			return s.finish(ctx, j)
		case err != nil:
			s.Log.LogAttrs(ctx, slog.LevelWarn, "wording a webhook failed", slog.Any("error", err))
			return queue.Retry(firstRetry)
		}
		j.Body = payload
		return deliver(ctx, j)
	}
}

// wordMessage returns the payload of a webhook that tells of a customer's message, or
// errFinished when that is gone.
func (s *Service) wordMessage(ctx context.Context, j queue.Job) ([]byte, error) {
	var t told
	if json.Unmarshal(j.Body[1:], &t) != nil {
		return nil, errTold
	}
	from, err := phone.Parse("+" + t.From)
	if err != nil {
		return nil, errTold
	}
	w := webhook.Message{
		ID: j.Message, From: from, Name: t.Name, Time: t.Time, IdentityHash: t.Identity,
		Unencrypted: t.Unencrypted, Media: t.Media, Errors: t.Errors,
	}
	said, err := s.said(ctx, j.Message)
	switch {
	case errors.Is(err, seal.ErrTampered), errors.Is(err, errBody):
		w.Media, w.Errors = nil, []webhook.Error{webhook.Unsupported(damagedDetails)}
	case isNotFound(err):
		return nil, errFinished
	case err != nil:
		return nil, err
	}
	w.Text = said.Text
	if w.Media != nil {
		w.Media.Caption = said.Caption
	}
	return s.Webhook.MessagePayload(w)
}

// said reads what a message holds.
func (s *Service) said(ctx context.Context, id string) (c content, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		m, err := tx.Message(id)
		if err != nil {
			return err
		}
		c, err = contentOf(m)
		return err
	})
	return c, err
}
