package outbound

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Some clients show their keys only to contacts. When the carrier does not show us a customer's
// keys, the relay asks the customer to become a contact, once, and the messages wait for the
// answer: each has a job that is due when the message gives up, and that an answer, a device
// list or a message from the customer makes due at once. Nothing else waits with them.

const (
	// contactWait is how long a message waits for the answer, or half the retention if that is
	// shorter.
	contactWait = 3 * 24 * time.Hour
	// askEvery is the least time between two requests to a customer who declined.
	askEvery = 7 * 24 * time.Hour
)

// contactWait is how long a message waits for the answer to a contact request.
func (s *Outbound) contactWait() time.Duration { return min(contactWait, s.Retention/2) }

// errShownToOthers means that a contact of ours does not show us their keys.
var errShownToOthers = errors.New("the carrier hides the keys of a contact")

// declined is the error of a message to a customer who declined the request.
func declined() error {
	return fails(webhook.Undeliverable("The recipient's client shows its keys only to contacts, and the recipient declined the business's contact request. " +
		"Ask them to write to the business first, or to add it as a contact, then send the message again."))
}

// awaitContact makes a job wait until the customer has answered a contact request, which it
// makes if there is none. It returns why the job's message fails instead.
func (s *Outbound) awaitContact(ctx context.Context, j queue.Job, t record.Task) error {
	c, err := s.recipient(ctx, j)
	if err != nil {
		return err
	}
	mayAsk := c.Asked.IsZero() || s.Now().Sub(c.Asked) >= askEvery
	state, err := s.Carrier.Contact(ctx, c.Number, mayAsk)
	switch {
	case errors.Is(err, carrier.ErrNoAccount):
		return peers.ErrNoAccount
	case err != nil:
		return fmt.Errorf("asking to become a contact: %w", err)
	case state == carrier.ContactNone: // the answer came while there was no link
		return errors.Join(s.ContactAnswered(ctx, carrier.ContactAnswer{Peer: c.Number, State: state}), declined())
	case state == carrier.ContactAllowed:
		return errShownToOthers
	}
	if err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.waits(tx, j, t, mayAsk) }); err != nil {
		return record.Gone(err)
	}
	// The answer may have come before the job was there to be released. Without a link, the
	// next one releases it.
	state, err = s.Carrier.Contact(ctx, c.Number, false)
	if err != nil || state == carrier.ContactAsked {
		return nil //nolint:nilerr // the job waits
	}
	return s.ContactAnswered(ctx, carrier.ContactAnswer{Peer: c.Number, State: state})
}

// waits writes that a job waits and that the customer was asked. A job without a message is
// dropped: the customer's next message brings it about again.
func (s *Outbound) waits(tx *store.Tx, j queue.Job, t record.Task, asked bool) error {
	c, err := tx.CustomerByID(store.CustomerID(j.Lane))
	if err != nil {
		return err
	}
	if asked && (c.Asked.IsZero() || !c.Declined.IsZero()) {
		c.Asked, c.Declined = s.Now(), time.Time{}
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
	}
	if j.Message == "" {
		return tx.Finish(j.ID)
	}
	m, err := tx.Message(j.Message)
	if err != nil {
		return err
	}
	until := m.Created.Add(s.contactWait())
	if !s.Now().Before(until) {
		return fails(webhook.Undeliverable("The recipient's client shows its keys only to contacts, and the recipient has not answered the business's contact request in time. " +
			"Ask them to accept it, then send the message again."))
	}
	return s.putOff(tx, j, t, until)
}

// putOff queues a job again, to wait until a time.
func (s *Outbound) putOff(tx *store.Tx, j queue.Job, t record.Task, until time.Time) error {
	if err := tx.Finish(j.ID); err != nil {
		return err
	}
	if t.Place == 0 {
		waiting, err := s.WaitingOf(tx, store.CustomerID(j.Lane))
		if err != nil {
			return err
		}
		if t.Place = 1; len(waiting) > 0 {
			t.Place += waiting[len(waiting)-1].Task.Place
		}
	}
	return s.EnqueueAt(tx, store.CustomerID(j.Lane), j.Message, t, until)
}

// waitsBehind puts a message that was accepted just now behind those that wait, if there are
// any, and has the first of them tried once more: no answer comes from a customer who makes
// their keys public instead. It says whether it did.
func (s *Outbound) waitsBehind(ctx context.Context, j queue.Job, c store.Customer, t record.Task) (behind bool, err error) {
	if c.Asked.IsZero() || t.Place > 0 || t.Kind != record.KindText && t.Kind != record.KindMedia {
		return false, nil
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		waiting, err := s.WaitingOf(tx, c.ID)
		if behind = len(waiting) > 0; !behind || err != nil {
			return err
		}
		m, err := tx.Message(j.Message)
		if err != nil {
			return err
		}
		if err := s.ReleaseJob(tx, waiting[0]); err != nil {
			return err
		}
		return s.putOff(tx, j, t, m.Created.Add(s.contactWait()))
	})
	return behind, record.Gone(err)
}

// ContactAnswered receives the answer to a contact request: what waits for it is sent, or fails.
func (s *Outbound) ContactAnswered(ctx context.Context, a carrier.ContactAnswer) error {
	var c store.Customer
	err := s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Customer(a.Peer)
		if record.IsNotFound(err) || errors.Is(err, seal.ErrTampered) || err == nil && c.Asked.IsZero() {
			return record.ErrNoNews
		}
		if err != nil {
			return err
		}
		tx.Then(func() { s.peers.ForgetDevices(c.ID) }) // what was hidden is not any more: before what waited is sent
		if a.State == carrier.ContactAllowed {
			_, err = s.Release(tx, c.ID)
			return err
		}
		return s.refusedContact(tx, c)
	})
	if errors.Is(err, record.ErrNoNews) {
		return nil
	}
	return err
}

// refusedContact writes that a customer declined, and fails what waited.
func (s *Outbound) refusedContact(tx *store.Tx, c store.Customer) error {
	if c.Declined.IsZero() {
		tx.Then(func() { s.Conduct.Blocked(s.Now()) })
		c.Declined = s.Now()
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
	}
	waiting, err := s.WaitingOf(tx, c.ID)
	if err != nil {
		return err
	}
	var why *failure
	errors.As(declined(), &why)
	for _, w := range waiting {
		if err := s.advanceMessage(tx, w.Message, record.StateFailed, why.reason); err != nil {
			return err
		}
		if err := tx.Finish(w.ID); err != nil {
			return err
		}
	}
	return nil
}

// reached notes that a message could be sent to a customer: what waits is released, and when
// nothing does, no request is pending any more.
func (s *Outbound) reached(tx *store.Tx, id store.CustomerID) error {
	c, err := tx.CustomerByID(id)
	if err != nil || c.Asked.IsZero() {
		return err
	}
	if n, err := s.Release(tx, id); err != nil || n > 0 {
		return err
	}
	c.Asked, c.Declined = time.Time{}, time.Time{}
	return tx.PutCustomer(&c)
}

// ReleaseAll releases everything that waits for an answer, because one may have come while
// there was no link.
func (s *Outbound) ReleaseAll(ctx context.Context) error {
	now := s.Now()
	customers := map[store.CustomerID]bool{}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		jobs, _, err := tx.DueOf(store.Wanted{
			Queue: base.QueueOutbox, Now: now.Add(s.Retention), Limit: everything,
			Skip: func(j store.Job) bool { return j.Message == "" || !j.NotBefore.After(now) || customers[j.Customer] },
		})
		for _, j := range jobs {
			customers[j.Customer] = true
		}
		return err
	})
	for c := range customers {
		if err == nil {
			err = s.Store.Update(ctx, func(tx *store.Tx) error {
				_, err := s.Release(tx, c)
				return err
			})
		}
	}
	return err
}
