package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// toldVersion begins the job of a webhook that tells of a customer's message. JSON comes
// after it: a told. A job of any other webhook is its payload, which begins with a brace,
// and so are jobs of earlier relays.
const toldVersion = 1

// errTold means that a webhook's job is not what this relay writes.
var errTold = errors.New("decoding a webhook: it is not what this relay writes")

// told is what a webhook says of a customer's message and the message itself does not
// hold. What the customer wrote is kept once, in the message, and the payload is worded
// when it is delivered.
type told struct {
	From        string          `json:"from"` // digits
	Name        string          `json:"name,omitempty"`
	Time        time.Time       `json:"time,omitzero"`
	Identity    string          `json:"identity,omitempty"` // hash of the sender's identity key
	Unencrypted bool            `json:"unencrypted,omitempty"`
	Media       *webhook.Media  `json:"media,omitempty"`
	Errors      []webhook.Error `json:"errors,omitempty"`
}

// notifyOf queues a webhook that tells of a customer's message. The message must hold
// w's text and caption.
func (s *Service) notifyOf(tx *store.Tx, c store.CustomerID, w webhook.Message) error {
	t := told{
		From: w.From.Digits(), Name: w.Name, Time: w.Time, Identity: w.IdentityHash, Unencrypted: w.Unencrypted, Errors: w.Errors,
	}
	if w.Media != nil {
		m := *w.Media
		m.Caption = ""
		t.Media = &m
	}
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding a webhook: %w", err)
	}
	return s.notify(tx, c, w.ID, append([]byte{toldVersion}, body...), nil)
}

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
			return s.settle(ctx, func(tx *store.Tx) error { return tx.Finish(j.ID) })
		case err != nil:
			s.Log.LogAttrs(ctx, slog.LevelWarn, "wording a webhook failed", slog.Any("error", err))
			return queue.Retry(firstRetry)
		}
		j.Body = payload
		return deliver(ctx, j)
	}
}

// settle ends a webhook's job otherwise than by delivering it.
func (s *Service) settle(ctx context.Context, change func(*store.Tx) error) queue.Result {
	if err := s.Store.Update(ctx, change); err != nil {
		return queue.Retry(firstRetry)
	}
	s.Deliveries()
	return queue.Done()
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
