package base

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/store"
)

// Batch is several changes of the store that share a commit.
type Batch struct {
	Store Store
	waits []func() error
}

// Settle waits until what the batch was given is stored.
func (b *Batch) Settle() (err error) {
	for _, wait := range b.waits {
		if failed := wait(); err == nil {
			err = failed // of the others most fail for the same reason
		}
	}
	b.waits = nil
	return err
}

// Update has a change of the store made in its turn; done gets its outcome and
// returns that of the whole.
func (b *Batch) Update(ctx context.Context, change func(*store.Tx) error, done func(error) error) {
	wait := b.Store.Begin(ctx, change)
	b.waits = append(b.waits, func() error { return done(wait()) })
}
