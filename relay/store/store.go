package store

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Store is an open store. Its methods are safe for concurrent use.
type Store struct {
	shared
	dir string
	db  engine.Database

	outdated func(wrapped string) bool // nil: no key of the settings ever is
	origin   origin                    // where the database lies now
	restored atomic.Bool
	tampered atomic.Bool

	once     sync.Once // guards closeErr
	closeErr error
	advance  sync.Mutex // held by the one Advance that runs
}

// Update runs fn in a write transaction and returns when its writes are durable. Callbacks of
// all callers run one after another in the store's one writing goroutine and share a commit;
// each sees the writes of those before it. An error of fn undoes only fn's writes and is
// returned as it is. fn must be quick, must not call Update, and must not keep t. When ctx ends
// before fn has begun, fn is not run; after that Update waits for the outcome.
func (s *Store) Update(ctx context.Context, fn func(t *Tx) error) error {
	return s.Begin(ctx, fn)()
}

// Begin is Update in two steps: it returns when fn has its place among the callbacks of all
// callers, and wait returns what Update would. If a caller begins several before it waits for
// them, they share a commit. Each wait must be called once.
func (s *Store) Begin(ctx context.Context, fn func(t *Tx) error) (wait func() error) {
	return s.db.Begin(ctx, s.change(fn, false))
}

// UpdateLate is Update for what nobody waits for: it waits some milliseconds for others, to share a commit
// with them.
func (s *Store) UpdateLate(ctx context.Context, fn func(t *Tx) error) error {
	c := s.change(fn, false)
	c.Late = true
	return s.db.Begin(ctx, c)()
}

// Shrink is Update for what frees room: it uses the volume's reserve when no other room is
// left, and then runs fn a second time. fn must not delete much more than MayShrink bytes at
// once.
func (s *Store) Shrink(ctx context.Context, fn func(*Tx) error) error {
	return s.db.Shrink(ctx, s.change(fn, true))
}

// change is what the engine runs for fn.
func (s *Store) change(fn func(*Tx) error, frees bool) engine.Change {
	var t *Tx
	name := s.observed.begun()
	return engine.Change{
		Frees: frees,
		Do: func(tx engine.Tx) error {
			s.hot.begin()
			t = &Tx{conn: tx, shared: &s.shared, writes: true}
			defer t.end()
			return fn(t)
		},
		Kept: func() {
			s.hot.keep()
			s.counted(t)
			s.meter(t)
			s.then = append(s.then, t.then...)
			s.total.add(t.change)
			s.used(t)
			s.observed.kept(name)
		},
	}
}

// View runs fn on a consistent snapshot of what is committed. Views run beside each other and
// beside updates. fn must not keep t; writing in it returns ErrReadOnly.
func (s *Store) View(ctx context.Context, fn func(t *Tx) error) error {
	return s.db.View(ctx, func(tx engine.Tx) error {
		t := &Tx{conn: tx, shared: &s.shared}
		defer t.end()
		return fn(t)
	})
}

// group is the store as its engine's writer sees it.
type group struct{ shared *shared }

// Commit records the counts, and the sum as it will be once the running transaction commits.
func (g group) Commit(tx engine.Tx) error {
	g.shared.hot.begin()
	t := &Tx{conn: tx, shared: g.shared, writes: true}
	err := t.writeCounts()
	if err == nil {
		err = t.writeMetered()
	}
	if err == nil && g.shared.total != g.shared.committed {
		err = t.writeSum(g.shared.total)
	}
	if err == nil {
		g.shared.observed.committing()
	}
	return err
}

// Ended keeps what the writer remembers in step with what is durable.
func (g group) Ended(err error) {
	g.shared.observed.ended(err)
	clear(g.shared.counts)
	clear(g.shared.metered)
	then := g.shared.then
	g.shared.then = nil
	if err == nil {
		defer func() {
			for _, do := range then {
				do()
			}
		}()
		g.shared.committed = g.shared.total
		g.shared.hot.begin() // what the last change did not keep
		g.shared.lately.adopt(&g.shared.hot)
		return
	}
	g.shared.hot = hot{}
	g.shared.lately.forget() // it may not be known what became of the group
	g.shared.total = g.shared.committed
	clear(g.shared.usage)
}

// Listen has l told of a queue until end is called.
func (s *Store) Listen(queue string, l Listener) (end func()) {
	return s.listeners.add(queue, &l)
}

// Scrub moves what is committed into the database and truncates the log, which holds earlier
// states of its pages. While a view is open, it leaves that to a later Scrub.
func (s *Store) Scrub(ctx context.Context) error { return s.db.Scrub(ctx) }

// MayShrink is how many bytes one Shrink may delete, since they go through the log.
func (s *Store) MayShrink() int64 { return s.batch }

// Full says whether the volume may have no room for anything new. It is checked with each
// update.
func (s *Store) Full() bool { return s.db.Full() }

// Freed is how many bytes within the database are free for new rows: its file does not
// shrink.
func (s *Store) Freed() int64 { return s.db.Freed() }

// Room is how much room there is, in bytes; 0 is what is not known.
type Room = engine.Room

// Room measures how much room there is now.
func (s *Store) Room(ctx context.Context) (Room, error) { return s.db.Room(ctx) }

// Trouble says why nothing can be written at present, as far as that is known; one of the errors of a
// store on a server, and nil in a directory. After ErrFenced and ErrRolledBack the store must be
// opened again.
func (s *Store) Trouble() error { return s.db.Trouble() }

// Close lets the running transactions end, fails those that wait with ErrClosed, and unlocks
// the directory. The keyring keeps its keys; those of the settings are overwritten.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.closeErr = s.db.Close()
		s.settings.Close()
		if s.memory != nil {
			s.memory.keys.Close()
		}
	})
	return s.closeErr
}
