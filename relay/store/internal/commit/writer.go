package commit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Bounds of one group: how many callers share it, and how many may wait for the next one
// before Begin itself waits.
const (
	maxGroup    = 512
	queueLength = 256
)

// How long changes that may be late wait for a group that they can join, and how many of them.
const (
	lateness = 2 * time.Millisecond
	maxLate  = 64
)

// Database is what a Writer needs of its engine. Only the writing goroutine calls it.
type Database interface {
	// Transact runs fn in a transaction. It returns nil when what fn wrote is durable, and
	// fn's error, or its own, when none of it is.
	Transact(fn func() error) error
	// Mark begins a change within the transaction. Keep or Undo ends it.
	Mark() (Tx, error)
	// Keep makes what the change wrote part of the transaction.
	Keep() error
	// Undo removes what the change wrote from the transaction.
	Undo() error
	// Whole returns the Tx of what belongs to the group as a whole.
	Whole() engine.Tx
	// Enough says whether the transaction has written as much as one should.
	Enough() bool
}

// Tx is the transaction of one change.
type Tx interface {
	engine.Tx
	// Admit says why the change must be undone although Do returned nil, or returns nil.
	Admit(frees bool) error
}

// request is one caller's change on its way through the writer.
type request struct {
	change engine.Change
	alone  func() error // instead of a change: outside of any transaction
	taken  atomic.Bool  // by the writer, or by the caller when it gave up
	err    error        // of Do
	panic  any          // of Do
	done   chan error   // the outcome, once
}

// Writer runs the changes of all callers in one goroutine.
type Writer struct {
	requests chan *request
	closing  chan struct{} // closed by Stop
	stopped  chan struct{} // closed when run has returned
	once     sync.Once     // guards closing

	// Only run uses the following fields.
	db    Database
	group engine.Group
	ready []*request // changes that come before those in requests
}

// Start starts a writer. It tells g about each group.
func Start(db Database, g engine.Group) *Writer {
	w := &Writer{
		requests: make(chan *request, queueLength),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
		db:       db, group: g,
	}
	go w.run()
	return w
}

// Stop lets the running group end and fails the requests that wait with engine.ErrClosed.
func (w *Writer) Stop() {
	w.once.Do(func() { close(w.closing) })
	<-w.stopped
}

// Begin is engine.Database's.
func (w *Writer) Begin(ctx context.Context, c engine.Change) (wait func() error) {
	return w.queue(ctx, &request{change: c, done: make(chan error, 1)})
}

// Alone runs fn between two groups, outside of any transaction.
func (w *Writer) Alone(ctx context.Context, fn func() error) error {
	return w.queue(ctx, &request{alone: fn, done: make(chan error, 1)})()
}

func (w *Writer) queue(ctx context.Context, r *request) (wait func() error) {
	select {
	case w.requests <- r:
		return func() error { return w.await(ctx, r) }
	case <-ctx.Done():
		return ctx.Err
	case <-w.stopped:
		return func() error { return engine.ErrClosed }
	}
}

func (w *Writer) await(ctx context.Context, r *request) error {
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
func (w *Writer) run() {
	defer close(w.stopped)
	late := time.NewTimer(lateness)
	late.Stop()
	for {
		select {
		case <-w.closing:
			w.commitReady()
			return
		case <-late.C:
			w.commitReady()
		case r := <-w.requests:
			if r.alone != nil {
				runAlone(r)
				continue
			}
			w.ready = append(w.ready, r)
			if r.change.Late && len(w.ready) < maxLate {
				if len(w.ready) == 1 {
					late.Reset(lateness)
				}
				continue
			}
			late.Stop()
			w.commitReady()
		}
	}
}

// commitReady commits what is ready, if anything is.
func (w *Writer) commitReady() {
	for len(w.ready) > 0 {
		w.commitGroup(w.take())
	}
}

// take returns the first of the changes that are ready.
func (w *Writer) take() *request {
	r := w.ready[0]
	w.ready = w.ready[1:]
	return r
}

// commitGroup runs one request and those that wait behind it in one transaction. Callers get
// every outcome after the commit: even a refusal may depend on what an earlier change of the
// group wrote.
func (w *Writer) commitGroup(r *request) {
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
	begun := false
	outcome = w.db.Transact(func() error {
		begun = true
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
		return w.group.Commit(w.db.Whole())
	})
	if !begun && r.taken.CompareAndSwap(false, true) {
		group = append(group, r)
	}
	w.group.Ended(outcome)
	if alone != nil {
		runAlone(alone)
	}
}

// runAlone runs a request that is not a transaction.
func runAlone(r *request) {
	if r.taken.CompareAndSwap(false, true) {
		r.done <- r.alone()
	}
}

// waiting returns the next request that waits, or nil when the group has enough.
func (w *Writer) waiting(taken int) *request {
	if taken >= maxGroup || w.db.Enough() {
		return nil
	}
	if len(w.ready) > 0 {
		return w.take()
	}
	select {
	case r := <-w.requests:
		return r
	default:
		return nil
	}
}

// apply runs one request so that its failure undoes nothing else. It returns an error only when
// the database failed.
func (w *Writer) apply(r *request) error {
	t, err := w.db.Mark()
	if err != nil {
		return err
	}
	call(r, t)
	if r.err == nil && r.panic == nil {
		r.err = t.Admit(r.change.Frees)
	}
	if r.err != nil || r.panic != nil {
		return w.db.Undo()
	}
	r.change.Kept()
	return w.db.Keep()
}

func call(r *request, t engine.Tx) {
	defer func() { r.panic = recover() }()
	r.err = r.change.Do(t)
}
