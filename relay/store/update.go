package store

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Bounds of one group commit: how many callers share it, and how many may wait for
// the next one before Update itself waits.
const (
	maxGroup    = 512
	queueLength = 256
)

// request is one caller's Update on its way through the writer.
type request struct {
	fn    func(*Tx) error
	frees bool         // room: fn is not refused any
	taken atomic.Bool  // by the writer, or by the caller who gave up
	err   error        // of fn
	panic any          // of fn
	done  chan error   // the outcome, once
	alone func() error // instead of fn: outside of any transaction
}

// Update runs fn in a write transaction and returns when its writes are durable.
// Callbacks of all callers run one after another in the store's one writing
// goroutine and share a commit; each sees the writes of those before it. An error
// of fn undoes fn's writes alone and is returned as it is. fn must be quick, must
// not call Update, and must not keep t. When ctx ends before fn has begun, fn is
// not run; afterwards Update waits for the outcome.
func (s *Store) Update(ctx context.Context, fn func(t *Tx) error) error {
	return s.Begin(ctx, fn)()
}

// Begin is Update in two steps: it returns when fn has its place among the callbacks
// of all callers, and wait returns what Update would. A caller that begins several
// before it waits for them has them share a commit. Each must be waited for, once.
func (s *Store) Begin(ctx context.Context, fn func(t *Tx) error) (wait func() error) {
	return s.queue(ctx, &request{fn: fn, done: make(chan error, 1)})
}

func (s *Store) queue(ctx context.Context, r *request) (wait func() error) {
	select {
	case s.requests <- r:
		return func() error { return s.await(ctx, r) }
	case <-ctx.Done():
		return ctx.Err
	case <-s.stopped:
		return func() error { return ErrClosed }
	}
}

func (s *Store) await(ctx context.Context, r *request) error {
	var err error
	select {
	case err = <-r.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		err = <-r.done
	case <-s.stopped:
		if r.taken.CompareAndSwap(false, true) {
			return ErrClosed
		}
		err = <-r.done
	}
	if r.panic != nil {
		panic(r.panic)
	}
	return err
}

// write is the writing goroutine: it takes what waits, runs it, and commits.
func (s *Store) write() {
	defer close(s.stopped)
	for {
		select {
		case <-s.closing:
			return
		case r := <-s.requests:
			if r.alone != nil {
				s.runAlone(r)
				continue
			}
			s.commitGroup(r)
		}
	}
}

// commitGroup runs one request and those that wait behind it in one transaction.
// Every outcome is told after the commit: even a refusal may rest on what an
// earlier callback of the group wrote.
func (s *Store) commitGroup(r *request) {
	group := make([]*request, 0, 8)
	// A callback that ends its goroutine (runtime.Goexit) must not leave callers
	// waiting; for all others outcome is set below.
	outcome := ErrClosed
	defer func() {
		for _, r := range group {
			if outcome != nil {
				r.done <- outcome
			} else {
				r.done <- r.err
			}
		}
	}()
	var alone *request
	before := s.total
	s.room.measure(s.writer)
	outcome = s.writer.transact(func() error {
		for ; r != nil; r = s.waiting(len(group)) {
			if r.alone != nil {
				alone = r
				break
			}
			if !r.taken.CompareAndSwap(false, true) {
				continue
			}
			group = append(group, r)
			if err := s.apply(r); err != nil {
				return err
			}
		}
		if s.total == before {
			return nil
		}
		return s.recordSum()
	})
	if outcome != nil {
		s.total = before
		clear(s.usage)
		s.room.failed(outcome)
	}
	if alone != nil {
		s.runAlone(alone)
	}
}

// runAlone runs a request that is no transaction.
func (s *Store) runAlone(r *request) {
	if r.taken.CompareAndSwap(false, true) {
		r.done <- r.alone()
	}
}

// waiting returns the next request that waits, or nil when the group has enough.
func (s *Store) waiting(taken int) *request {
	if taken >= maxGroup || s.room.enough() {
		return nil
	}
	select {
	case r := <-s.requests:
		return r
	default:
		return nil
	}
}

// apply runs one request within a savepoint, so that its failure undoes nothing
// else. It returns an error only when the database failed.
func (s *Store) apply(r *request) error {
	if _, err := s.writer.run("SAVEPOINT caller"); err != nil {
		return err
	}
	t := &Tx{conn: s.writer, store: s, writes: true}
	call(r, t)
	if r.err == nil && r.panic == nil && !r.frees {
		r.err = s.room.take(t.wrote, t.fresh)
	}
	if r.err == nil && r.panic == nil {
		s.total.add(t.change)
		s.used(t)
	} else {
		if _, err := s.writer.run("ROLLBACK TO caller"); err != nil {
			return fmt.Errorf("undoing a refused write: %w", err)
		}
	}
	_, err := s.writer.run("RELEASE caller")
	return err
}

func call(r *request, t *Tx) {
	defer func() {
		t.conn = nil
		r.panic = recover()
	}()
	r.err = r.fn(t)
}
