package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Customer finds a customer or creates one. If the row is damaged, it is rewritten for the
// number.
func (s *Base) Customer(tx *store.Tx, n phone.Number) (store.Customer, error) {
	c, err := tx.Customer(n)
	if errors.Is(err, seal.ErrTampered) {
		s.Log.LogAttrs(context.Background(), slog.LevelError, "a customer's row in the store is damaged; rewriting it")
		return tx.MendCustomer(n)
	}
	if record.IsNotFound(err) {
		c = store.Customer{Number: n}
		err = tx.PutCustomer(&c)
	}
	return c, err
}

// UserOf returns a customer's user id; empty if their row is gone or damaged.
func (s *Base) UserOf(ctx context.Context, id store.CustomerID) (user string, err error) {
	if id == 0 {
		return "", nil
	}
	read := func(tx *store.Tx) error {
		c, err := tx.CustomerByID(id)
		user = c.UserID
		return err
	}
	if err = s.Store.View(ctx, read); err == nil && user == "" {
		err = s.Store.Update(ctx, read) // makes one for a row from before user ids
	}
	if record.IsNotFound(err) || errors.Is(err, seal.ErrTampered) {
		return "", nil
	}
	return user, err
}

// Enqueue adds a task to the outbox.
func (s *Base) Enqueue(tx *store.Tx, c store.CustomerID, message string, t record.Task) error {
	return s.EnqueueAt(tx, c, message, t, s.Now())
}

// EnqueueAt adds a task that is due at a time.
func (s *Base) EnqueueAt(tx *store.Tx, c store.CustomerID, message string, t record.Task, at time.Time) error {
	return s.enqueue(tx, store.Job{Queue: QueueOutbox, Customer: c, Message: message, NotBefore: at}, t)
}

// EnqueueReceipt adds the delivery receipt for a customer's message, by the id that its client gave it.
func (s *Base) EnqueueReceipt(tx *store.Tx, c store.CustomerID, stanza string) error {
	t := record.Task{Kind: record.KindReceipt, Stanza: stanza, Receipt: carrier.Delivered}
	return s.enqueue(tx, store.Job{Queue: QueueReceipts, Customer: c, NotBefore: s.Now()}, t)
}

func (s *Base) enqueue(tx *store.Tx, j store.Job, t record.Task) (err error) {
	if j.Body, err = json.Marshal(t); err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	j.Created = s.Now()
	_, err = tx.Enqueue(j)
	return err
}

// Notify queues a webhook with a finished payload, and a copy for each processor. Of j it takes the customer, the message
// and the Life of what the payload tells.
func (s *Base) Notify(tx *store.Tx, j store.Job, payload []byte, err error) error {
	if err != nil {
		return err
	}
	j.NotBefore, j.Body = s.Now(), payload
	return s.notify(tx, j, s.Processors)
}

// notify queues a webhook, and copies for some processors. What is about the canary is kept back from all of them.
func (s *Base) notify(tx *store.Tx, j store.Job, processors []string) error {
	j.Queue = QueueWebhook
	switch is, err := s.IsCanary(tx, j.Customer); {
	case err != nil:
		return err
	case is:
		j.Queue, processors = QueueKept, nil
	}
	if _, err := tx.Enqueue(j); err != nil {
		return err
	}
	for _, p := range processors {
		j.Queue = QueueOfProcessor(p)
		if _, err := tx.Enqueue(j); err != nil {
			return err
		}
	}
	return nil
}

// NotifyOf queues a webhook about a customer's message, and a copy for each processor. The message's content is body: that
// must hold w's text and caption.
func (s *Base) NotifyOf(tx *store.Tx, c store.CustomerID, w webhook.Message, body record.Content) error {
	return s.notifyOf(tx, c, w, body, s.Processors)
}

// NotifyBusiness is NotifyOf without processors, who had a copy of their own of what it replaces.
func (s *Base) NotifyBusiness(tx *store.Tx, c store.CustomerID, w webhook.Message, body record.Content) error {
	return s.notifyOf(tx, c, w, body, nil)
}

func (s *Base) notifyOf(tx *store.Tx, c store.CustomerID, w webhook.Message, body record.Content, processors []string) error {
	t := record.Told{
		From: w.From.Digits(), User: w.User, Name: w.Name, Time: w.Time, Identity: w.IdentityHash, Unencrypted: w.Unencrypted, Errors: w.Errors,
	}
	if w.Media != nil {
		m := *w.Media
		m.Caption = ""
		t.Media = &m
	}
	told, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding a webhook: %w", err)
	}
	if told, err = body.Confirm.On(append([]byte{record.ToldVersion}, told...)); err != nil {
		return err
	}
	return s.notify(tx, store.Job{Customer: c, Message: w.ID, Life: body.Life, NotBefore: s.Now(), Body: told}, processors)
}

// PutTask writes an outgoing message and the task to do with it.
func (s *Base) PutTask(tx *store.Tx, m store.Message, body record.Content, k record.Kind) (err error) {
	if m.Body, err = body.Encode(); err != nil {
		return err
	}
	if err := tx.PutMessage(m); err != nil {
		return err
	}
	return s.Enqueue(tx, m.Customer, m.ID, record.Task{Kind: k})
}

// Settle ends a webhook's job without delivering it.
func (s *Base) Settle(ctx context.Context, change func(*store.Tx) error) queue.Result {
	if err := s.Store.Update(ctx, change); err != nil {
		return queue.Retry(FirstRetry)
	}
	return queue.Done()
}

// Finish removes a job that has nothing left to do.
func (s *Base) Finish(ctx context.Context, j queue.Job) queue.Result {
	return s.Settle(ctx, func(tx *store.Tx) error { return tx.Finish(j.ID) })
}

// ResendLater queues a search for the messages to send again because a device may not have
// been able to read them: those sent since the device last wrote something that could be
// read. What is encrypted after until is in the new session and not lost with the old one;
// zero means that there is no new session yet.
func (s *Base) ResendLater(tx *store.Tx, c store.Customer, d carrier.DeviceID, until time.Time) error {
	inbound, err := tx.MessagesOf(c.ID, store.Inbound, s.Now(), maxInbound)
	if err != nil {
		return err
	}
	t := record.Task{Kind: record.KindLost, Device: d, Until: until}
	if i := slices.IndexFunc(inbound, func(m store.Message) bool { return m.Type != record.TypeUnsupported }); i >= 0 {
		t.Since = inbound[i].Created
	}
	return s.EnqueueAt(tx, c.ID, "", t, s.Now().Add(ResendGrace))
}

// resendGrace is how long receipts may take after a new session began before messages without
// one are sent again: both peers may have begun a session at once. maxInbound is how many of a
// customer's messages are searched for one that could be read.
const (
	ResendGrace = 10 * time.Second
	maxInbound  = 64
)
