package message

import (
	"context"
	"slices"
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

// Due implements queue.Backend. Jobs come into the store in the order of their times
// but for those that were put off: a job that is still being written may stand before
// one of these. It is waited for, as whoever goes on behind the other would miss it.
func (b *Backend) Due(ctx context.Context, now time.Time, after queue.Place, limit int) ([]queue.Job, error) {
	jobs, err := b.due(ctx, now, after, limit)
	if err != nil || !slices.ContainsFunc(jobs, wasPutOff) {
		return jobs, err
	}
	if err := b.store.Update(ctx, func(*store.Tx) error { return nil }); err != nil {
		return nil, err
	}
	return b.due(ctx, now, after, limit)
}

func wasPutOff(j queue.Job) bool { return j.NotBefore.After(j.Created) }

// due reads what is due of what is in the store.
func (b *Backend) due(ctx context.Context, now time.Time, after queue.Place, limit int) ([]queue.Job, error) {
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
