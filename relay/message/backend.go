package message

import (
	"context"
	"time"

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

// Due implements queue.Backend.
func (b *Backend) Due(ctx context.Context, now time.Time, after queue.Place, limit int) ([]queue.Job, error) {
	var jobs []queue.Job
	err := b.store.View(ctx, func(tx *store.Tx) error {
		due, err := tx.Due(b.name, now, store.Place(after), limit)
		for _, j := range due {
			jobs = append(jobs, queue.Job{
				ID: j.ID, Lane: int64(j.Customer), Message: j.Message, NotBefore: j.NotBefore,
				Attempts: j.Attempts, Created: j.Created, Body: j.Body,
			})
		}
		return err
	})
	return jobs, err
}

// Postpone implements queue.Backend.
func (b *Backend) Postpone(ctx context.Context, j queue.Job, at time.Time, attempts int) error {
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.Postpone(j.ID, at, attempts) })
}

// Finish removes a job.
func (b *Backend) Finish(ctx context.Context, j queue.Job) error {
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.Finish(j.ID) })
}

// Length counts the queue's jobs.
func (b *Backend) Length(ctx context.Context) (n int64, err error) {
	err = b.store.View(ctx, func(tx *store.Tx) error {
		n, err = tx.QueueLength(b.name)
		return err
	})
	return n, err
}
