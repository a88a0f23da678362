package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Bounds of one group commit: how many callers share it, and how many may wait for
// the next one before Begin itself waits.
const (
	maxGroup    = 512
	queueLength = 256
)

// request is one caller's change on its way through the writer.
type request struct {
	change engine.Change
	alone  func() error // instead of a change: outside of any transaction
	taken  atomic.Bool  // by the writer, or by the caller when it gave up
	err    error        // of Do
	panic  any          // of Do
	done   chan error   // the outcome, once
}

// writer runs the changes of all callers in one goroutine.
type writer struct {
	requests chan *request
	closing  chan struct{} // closed by stop
	stopped  chan struct{} // closed when run has returned
	once     sync.Once     // guards closing

	conn  *conn        // only run uses it
	room  *room        // likewise, except for what is atomic
	group engine.Group // likewise
}

func newWriter(c *conn, r *room, g engine.Group) *writer {
	return &writer{
		requests: make(chan *request, queueLength),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
		conn:     c, room: r, group: g,
	}
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.closing) })
	<-w.stopped
}

func (w *writer) queue(ctx context.Context, r *request) (wait func() error) {
	select {
	case w.requests <- r:
		return func() error { return w.await(ctx, r) }
	case <-ctx.Done():
		return ctx.Err
	case <-w.stopped:
		return func() error { return engine.ErrClosed }
	}
}

// alone runs fn in the writer, outside of any transaction.
func (w *writer) alone(ctx context.Context, fn func() error) error {
	return w.queue(ctx, &request{alone: fn, done: make(chan error, 1)})()
}

func (w *writer) await(ctx context.Context, r *request) error {
	var err error
	select {
	case err = <-r.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		err = <-r.done
	case <-w.stopped:
		if r.taken.CompareAndSwap(false, true) {
			return engine.ErrClosed
		}
		err = <-r.done
	}
	if r.panic != nil {
		panic(r.panic)
	}
	return err
}

// run is the writing goroutine: it takes waiting requests, runs them, and commits.
func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case <-w.closing:
			return
		case r := <-w.requests:
			if r.alone != nil {
				w.runAlone(r)
				continue
			}
			w.commitGroup(r)
		}
	}
}

// commitGroup runs one request and those that wait behind it in one transaction. Callers get
// every outcome after the commit: even a refusal may depend on what an earlier change of the
// group wrote.
func (w *writer) commitGroup(r *request) {
	group := make([]*request, 0, 8)
	// A change that ends its goroutine (runtime.Goexit) must not leave callers
	// waiting; for all others outcome is set below.
	outcome := engine.ErrClosed
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
	w.room.measure(w.conn)
	outcome = w.conn.transact(func() error {
		for ; r != nil; r = w.waiting(len(group)) {
			if r.alone != nil {
				alone = r
				break
			}
			if !r.taken.CompareAndSwap(false, true) {
				continue
			}
			group = append(group, r)
			if err := w.apply(r); err != nil {
				return err
			}
		}
		return w.group.Commit(&tx{conn: w.conn, room: w.room})
	})
	w.group.Ended(outcome)
	w.room.failed(outcome)
	if alone != nil {
		w.runAlone(alone)
	}
}

// runAlone runs a request that is not a transaction.
func (w *writer) runAlone(r *request) {
	if r.taken.CompareAndSwap(false, true) {
		r.done <- r.alone()
	}
}

// waiting returns the next request that waits, or nil when the group has enough.
func (w *writer) waiting(taken int) *request {
	if taken >= maxGroup || w.room.enough() {
		return nil
	}
	select {
	case r := <-w.requests:
		return r
	default:
		return nil
	}
}

// apply runs one request inside a savepoint, so that its failure undoes nothing else. It returns
// an error only when the database failed.
func (w *writer) apply(r *request) error {
	if _, err := w.conn.run("SAVEPOINT caller"); err != nil {
		return err
	}
	t := &tx{conn: w.conn, room: w.room}
	call(r, t)
	if r.err == nil && r.panic == nil && !r.change.Frees {
		r.err = w.room.take(t.wrote, t.fresh)
	}
	if r.err == nil && r.panic == nil {
		r.change.Kept()
	} else {
		if _, err := w.conn.run("ROLLBACK TO caller"); err != nil {
			return fmt.Errorf("undoing a refused write: %w", err)
		}
	}
	_, err := w.conn.run("RELEASE caller")
	return err
}

func call(r *request, t *tx) {
	defer func() { r.panic = recover() }()
	r.err = r.change.Do(t)
}

// checkpoint copies the log into the database and truncates it.
func (w *writer) checkpoint() error {
	err := w.conn.script("PRAGMA wal_checkpoint(TRUNCATE)")
	w.conn.ended = nil // there was no transaction
	if err != nil {
		return fmt.Errorf("cutting the database's log: %w", err)
	}
	return nil
}

// tx is a change's transaction.
type tx struct {
	conn  *conn
	room  *room
	wrote int64 // roughly how many bytes were written
	fresh bool  // it is new work
}

func (t *tx) Run(text string, args ...driver.Value) (int64, error) {
	if !strings.HasPrefix(text, "DELETE") {
		t.wrote += weight(args)
	}
	return t.conn.run(text, args...)
}

func (t *tx) Rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	return t.conn.rows(text, each, args...)
}

func (t *tx) Fresh() { t.fresh = true }

func (t *tx) Usage() (volume, held int64) {
	return t.room.volume, t.room.held + t.room.spent + t.wrote
}

// weight is how many bytes values need.
func weight(args []driver.Value) (n int64) {
	for _, a := range args {
		switch v := a.(type) {
		case []byte:
			n += int64(len(v))
		case string:
			n += int64(len(v))
		}
	}
	return n
}
