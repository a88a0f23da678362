package message

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/store"
)

// batch is several changes of the store that share a commit.
type batch struct {
	store Store
	waits []func() error
}

// settle waits until what the batch was given is stored.
func (b *batch) settle() (err error) {
	for _, wait := range b.waits {
		if failed := wait(); err == nil {
			err = failed // of the others most fail for the same reason
		}
	}
	b.waits = nil
	return err
}

// update has a change of the store made in its turn; done gets its outcome and
// returns that of the whole.
func (b *batch) update(ctx context.Context, change func(*store.Tx) error, done func(error) error) {
	wait := b.store.Begin(ctx, change)
	b.waits = append(b.waits, func() error { return done(wait()) })
}
