package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// customer finds a customer or makes one. One whose row is damaged is known by the number.
func (s *Service) customer(tx *store.Tx, n phone.Number) (store.Customer, error) {
	c, err := tx.Customer(n)
	if errors.Is(err, seal.ErrTampered) {
		s.Log.LogAttrs(context.Background(), slog.LevelError, "a customer's row in the store was damaged and is written afresh")
		return tx.MendCustomer(n)
	}
	if isNotFound(err) {
		c = store.Customer{Number: n}
		err = tx.PutCustomer(&c)
	}
	return c, err
}

// enqueue adds a task to the outbox.
func (s *Service) enqueue(tx *store.Tx, c store.CustomerID, message string, t task) error {
	return s.enqueueAt(tx, c, message, t, s.Now())
}

func (s *Service) enqueueAt(tx *store.Tx, c store.CustomerID, message string, t task, at time.Time) error {
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	_, err = tx.Enqueue(store.Job{Queue: QueueOutbox, Customer: c, Message: message, NotBefore: at, Created: s.Now(), Body: body})
	return err
}

// notify queues a webhook whose payload is finished.
func (s *Service) notify(tx *store.Tx, c store.CustomerID, message string, payload []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = tx.Enqueue(store.Job{
		Queue: QueueWebhook, Customer: c, Message: message, NotBefore: s.Now(), Body: payload,
	})
	return err
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

// putTask writes an outgoing message and what is to be done with it.
func (s *Service) putTask(tx *store.Tx, m store.Message, body content, k kind) (err error) {
	if m.Body, err = body.encode(); err != nil {
		return err
	}
	if err := tx.PutMessage(m); err != nil {
		return err
	}
	return s.enqueue(tx, m.Customer, m.ID, task{Kind: k})
}

// settle ends a webhook's job otherwise than by delivering it.
func (s *Service) settle(ctx context.Context, change func(*store.Tx) error) queue.Result {
	if err := s.Store.Update(ctx, change); err != nil {
		return queue.Retry(firstRetry)
	}
	s.Deliveries()
	return queue.Done()
}

// finish removes a job with which nothing is left to do.
func (s *Service) finish(ctx context.Context, j queue.Job) queue.Result {
	return s.settle(ctx, func(tx *store.Tx) error { return tx.Finish(j.ID) })
}

// resendLater has the messages sent again that a device may not have been able to read:
// those since it last wrote something that could be read. What is encrypted after until
// is in the new session and not lost with the old; zero means that there is none yet.
func (s *Service) resendLater(tx *store.Tx, c store.Customer, d carrier.DeviceID, until time.Time) error {
	inbound, err := tx.MessagesOf(c.ID, store.Inbound, s.Now(), maxInbound)
	if err != nil {
		return err
	}
	t := task{Kind: kindLost, Device: d, Until: until}
	if i := slices.IndexFunc(inbound, func(m store.Message) bool { return m.Type != typeUnsupported }); i >= 0 {
		t.Since = inbound[i].Created
	}
	return s.enqueueAt(tx, c.ID, "", t, s.Now().Add(resendGrace))
}

// resendGrace is how long receipts may take, after a session began anew, before messages
// without one are sent again: two peers may have begun at once. maxInbound is how many of
// a customer's messages are looked at for one that could be read.
const (
	resendGrace = 10 * time.Second
	maxInbound  = 64
)
