package base

import (
	"context"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Backend is one of the store's queues.
type Backend struct {
	store Store
	name  string
}

// Queue returns the store's queue of that name.
func Queue(s Store, name string) *Backend { return &Backend{s, name} }

// Due implements queue.Backend. Jobs come into the store in the order of their times, except
// those that were put off: a job that is still being written may have to come before one of
// these. Due waits for it, because a reader that went on past the other job would miss it.
func (b *Backend) Due(ctx context.Context, q queue.Query) ([]queue.Job, queue.Place, error) {
	jobs, to, putOff, err := b.due(ctx, q)
	if err != nil || !putOff || q.Lane != 0 {
		return jobs, to, err
	}
	if err := b.store.Update(ctx, func(*store.Tx) error { return nil }); err != nil {
		return nil, q.After, err
	}
	jobs, to, _, err = b.due(ctx, q)
	return jobs, to, err
}

// Announce implements queue.Backend.
func (b *Backend) Announce(added func(queue.Job), changed func()) (end func()) {
	return b.store.Listen(b.name, store.Listener{Added: func(j store.Job) { added(jobOf(j)) }, Changed: changed})
}

// due reads the wanted jobs that are in the store, and says whether it passed a job that was
// put off.
func (b *Backend) due(ctx context.Context, q queue.Query) (jobs []queue.Job, to queue.Place, putOff bool, err error) {
	err = b.store.View(ctx, func(tx *store.Tx) error {
		due, place, err := tx.DueOf(store.Wanted{
			Queue: b.name, Customer: store.CustomerID(q.Lane), Now: q.Now, After: store.Place(q.After), Limit: q.Limit,
			Skip: func(found store.Job) bool {
				j := jobOf(found)
				putOff = putOff || j.PutOff()
				return q.Skip != nil && q.Skip(j)
			},
		})
		for _, j := range due {
			jobs = append(jobs, jobOf(j))
		}
		to = queue.Place(place)
		return err
	})
	return jobs, to, putOff, err
}

func jobOf(j store.Job) queue.Job {
	return queue.Job{
		ID: j.ID, Lane: int64(j.Customer), Message: j.Message, NotBefore: j.NotBefore,
		Attempts: j.Attempts, Created: j.Created, Body: j.Body,
	}
}

// Postpone implements queue.Backend. Jobs that are gone are left out: their customer was
// erased meanwhile, or they were moved into another queue.
func (b *Backend) Postpone(ctx context.Context, jobs []queue.Job) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		for _, j := range jobs {
			if err := tx.Postpone(b.name, j.ID, j.NotBefore, j.Attempts); err != nil && !record.IsNotFound(err) {
				return err
			}
		}
		return nil
	})
}

// Waiting counts the queue's jobs and says since when the first of them waits; the zero time if none does. A job of the
// outbox that is put off, because its customer has to answer a contact request first, is counted but waits for nothing.
// A dead letter waits since it became one.
func (b *Backend) Waiting(ctx context.Context, now time.Time) (n int64, since time.Time, err error) {
	err = b.store.View(ctx, func(tx *store.Tx) error {
		if n, since, err = tx.Queued(b.name); err != nil || n == 0 {
			return err
		}
		if b.name == QueueOutbox || b.name == QueueDead { // what waits there keeps its time, attempts or not
			since, _, err = tx.NextDue(b.name)
		}
		return err
	})
	if since.After(now) {
		since = time.Time{}
	}
	return n, since, err
}

// Length counts the queue's jobs.
func (b *Backend) Length(ctx context.Context) (n int64, err error) {
	err = b.store.View(ctx, func(tx *store.Tx) error {
		n, err = tx.QueueLength(b.name)
		return err
	})
	return n, err
}
