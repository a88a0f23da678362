package base

import (
	"context"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

// Batch is several changes to the store that share a commit.
type Batch struct {
	Store Store
	Came  time.Time // when it was begun, at the earliest when its events came
	waits []func() error
}

// Settle waits until all changes of the batch are stored.
func (b *Batch) Settle() (err error) {
	for _, wait := range b.waits {
		if failed := wait(); err == nil {
			err = failed // most of the others fail for the same reason
		}
	}
	b.waits = nil
	return err
}

// Update queues a change to the store. Done gets the change's error, and returns the one that
// Settle reports.
func (b *Batch) Update(ctx context.Context, change func(*store.Tx) error, done func(error) error) {
	wait := b.Store.Begin(ctx, change)
	b.waits = append(b.waits, func() error { return done(wait()) })
}
