package store

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// database is what the sealed store needs of its engine. internal/sqlite is the only one; the
// statements are in its dialect.
type database interface {
	// Begin gives a change its place among those of all callers, who run one after another.
	// wait returns once the change is durable, or the error of Do as it is, and passes on a
	// panic of Do. When ctx ends before Do has begun, Do is not run; afterwards wait waits
	// for the outcome.
	Begin(ctx context.Context, c engine.Change) (wait func() error)
	// Shrink is Begin and wait for a change that deletes at most about Batch bytes. It also
	// works when no other room is left. Do may run a second time.
	Shrink(ctx context.Context, c engine.Change) error
	// View runs fn on a consistent snapshot of what is durable, beside changes. The context
	// counts until fn begins.
	View(ctx context.Context, fn func(engine.Tx) error) error
	// Scrub removes what was deleted from where the engine keeps earlier states.
	Scrub(ctx context.Context) error
	// Batch is how many bytes one change should delete at most.
	Batch() int64
	// Full says whether there may be no room for anything new.
	Full() bool
	// Freed is how many bytes in the database are free for new rows, in addition to what the
	// volume has left.
	Freed() int64
	// Birth is when the database was made or copied, in nanoseconds since 1970; 0 when that
	// is not known.
	Birth() int64
	// Close lets running transactions end and fails those that wait with engine.ErrClosed.
	Close() error
}
