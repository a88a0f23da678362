package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Deliver returns a worker for the queue of webhooks. It passes the payloads of the webhooks
// that can be delivered to deliver. If a webhook's row is damaged, it tells the business what
// is known: that there was a message.
func (s *Webhooks) Deliver(deliver queue.BatchWorker) queue.BatchWorker {
	return s.worker(deliver, func(tx *store.Tx, j queue.Job) error { return s.replaceWebhook(tx, j.ID, j.Message) })
}

// DeliverCopies is Deliver for the queue of a processor. A copy whose row is damaged is dropped: the business has the
// webhook.
func (s *Webhooks) DeliverCopies(deliver queue.BatchWorker) queue.BatchWorker {
	return s.worker(deliver, func(tx *store.Tx, j queue.Job) error { return tx.Finish(j.ID) })
}

// worker does both. Damaged says what becomes of a job that cannot be read.
func (s *Webhooks) worker(deliver queue.BatchWorker, damaged func(*store.Tx, queue.Job) error) queue.BatchWorker {
	return func(ctx context.Context, jobs []queue.Job) []queue.Result {
		results := make([]queue.Result, len(jobs))
		var whole []queue.Job
		var places []int
		for i, j := range jobs {
			var ok bool
			if j, results[i], ok = s.written(ctx, j, damaged); ok {
				whole, places = append(whole, j), append(places, i)
			}
		}
		if len(whole) == 0 {
			return results
		}
		for i, res := range deliver(ctx, whole) {
			results[places[i]] = res
		}
		return results
	}
}

// written returns a webhook's job with its payload. If it cannot be delivered, ok is false, and r what becomes
// of it.
func (s *Webhooks) written(ctx context.Context, j queue.Job, damaged func(*store.Tx, queue.Job) error) (whole queue.Job, r queue.Result, ok bool) {
	if len(j.Body) == 0 {
		s.Log.LogAttrs(ctx, slog.LevelError, "a webhook's row in the store is damaged")
		return j, s.Settle(ctx, func(tx *store.Tx) error { return damaged(tx, j) }), false
	}
	letter, body, err := record.LetterOf(j.Body)
	if err == nil {
		_, j.Body, err = record.ConfirmOf(body)
	}
	if err == nil {
		j.Body, err = s.word(ctx, j)
	}
	switch {
	case errors.Is(err, record.ErrTold):
		s.Log.LogAttrs(ctx, slog.LevelError, "a webhook in the store cannot be read")
		return j, s.Settle(ctx, func(tx *store.Tx) error { return damaged(tx, j) }), false
	case errors.Is(err, record.ErrFinished):
		return j, s.Finish(ctx, j), false
	case err != nil:
		s.Log.LogAttrs(ctx, slog.LevelWarn, "writing a webhook failed", slog.Any("error", err))
		return j, queue.Retry(base.FirstRetry), false
	}
	if !letter.Replayed.IsZero() {
		j.Created = letter.Replayed // it is tried for as long as a new one
	}
	return j, r, true
}

// word returns the payload of a webhook.
func (s *Webhooks) word(ctx context.Context, j queue.Job) ([]byte, error) {
	if len(j.Body) == 0 {
		return nil, record.ErrTold
	}
	if j.Body[0] == record.ToldVersion {
		return s.wordMessage(ctx, j)
	}
	if !s.Webhook.HideNumbers {
		return j.Body, nil
	}
	user, err := s.UserOf(ctx, store.CustomerID(j.Lane))
	if err != nil {
		return nil, err
	}
	payload, err := s.Webhook.Settled(j.Body, user)
	if err != nil {
		return nil, record.ErrTold
	}
	return payload, nil
}

// sender reads who a message is from.
func (s *Webhooks) sender(ctx context.Context, j queue.Job, t record.Told) (from phone.Number, user string, err error) {
	if t.From != "" {
		if from, err = phone.Parse("+" + t.From); err != nil {
			return from, "", record.ErrTold
		}
	}
	if user = t.User; user == "" {
		user, err = s.UserOf(ctx, store.CustomerID(j.Lane))
	}
	if err == nil && t.From == "" && user == "" {
		err = record.ErrTold
	}
	return from, user, err
}

// wordMessage returns the payload of a webhook about a customer's message, or ErrFinished
// when that message is gone.
func (s *Webhooks) wordMessage(ctx context.Context, j queue.Job) ([]byte, error) {
	var t record.Told
	if json.Unmarshal(j.Body[1:], &t) != nil {
		return nil, record.ErrTold
	}
	from, user, err := s.sender(ctx, j, t)
	if err != nil {
		return nil, err
	}
	w := webhook.Message{
		ID: j.Message, From: from, User: user, Name: t.Name, Time: t.Time, IdentityHash: t.Identity,
		Unencrypted: t.Unencrypted, Media: t.Media, Errors: t.Errors,
	}
	said, lost, err := s.said(ctx, j.Message)
	switch {
	case lost && len(t.Errors) == 0:
		w.Media, w.Errors, said.Corrects = nil, []webhook.Error{webhook.NotDelivered()}, ""
	case errors.Is(err, seal.ErrTampered), errors.Is(err, record.ErrBody):
		w.Media, w.Errors = nil, []webhook.Error{webhook.Unsupported(base.DamagedDetails)}
	case record.IsNotFound(err):
		return nil, record.ErrFinished
	case err != nil:
		return nil, err
	}
	w.Text = said.Text
	w.Place, w.Chosen = said.Place, said.Chosen
	s.refer(&w, said)
	if w.Media != nil {
		w.Media.Caption = said.Caption
	}
	return s.Webhook.MessagePayload(w)
}

// said reads what a message holds, and says whether its content is lost.
func (s *Webhooks) said(ctx context.Context, id string) (c record.Content, lost bool, err error) {
	m, ok := s.Store.Lately(id)
	if !ok {
		err = s.Store.View(ctx, func(tx *store.Tx) error {
			m, err = tx.Message(id)
			return err
		})
	}
	if err == nil {
		c, err = record.ContentOf(m)
	}
	return c, m.Lost, err
}

// refer says which messages a message is about, and what of that was not encrypted.
func (s *Webhooks) refer(w *webhook.Message, said record.Content) {
	w.Corrects = said.Corrects
	if said.ReplyTo != "" {
		w.Context = &webhook.Context{ID: said.ReplyTo, From: s.Webhook.Phone}
		if said.ReplyOwn {
			w.Context.From, w.Context.User = w.From, w.User
		}
	}
	if !w.Unencrypted { // else that says it of everything
		w.ContextClear, w.CorrectsClear = said.ReplyClear, said.CorrectsClear
	}
}
