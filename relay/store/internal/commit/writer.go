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

// How long changes that may be late wait for others to join their group, and how many of them.
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
	for {
		select {
		case <-w.closing:
			return
		case r := <-w.requests:
			if r.alone != nil {
				runAlone(r)
				continue
			}
			w.commitGroup(r)
		}
	}
}

// commitGroup runs one request and those that wait behind it in one transaction. While all of them may be
// late, it waits a moment for others: one that may not be late then finds their part of the work done. Callers get
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
	outcome = w.db.Transact(func() (err error) {
		begun = true
		if alone, err = w.gather(r, &group); err != nil {
			return err
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

// gather runs a request and those that wait behind it, up to one that is to run alone, and adds them to the group.
func (w *Writer) gather(r *request, group *[]*request) (alone *request, err error) {
	late := time.NewTimer(lateness)
	defer late.Stop()
	for waits := true; r != nil; r = w.next(len(*group), waits, late.C) {
		if r.alone != nil {
			return r, nil
		}
		if !r.taken.CompareAndSwap(false, true) {
			continue
		}
		*group = append(*group, r)
		waits = waits && r.change.Late
		if err := w.apply(r); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// runAlone runs a request that is not a transaction.
func runAlone(r *request) {
	if r.taken.CompareAndSwap(false, true) {
		r.done <- r.alone()
	}
}

// next returns the next request, or nil when the group should commit. Waits says that what it has may be late.
func (w *Writer) next(taken int, waits bool, late <-chan time.Time) *request {
	if taken >= maxGroup || w.db.Enough() {
		return nil
	}
	select {
	case r := <-w.requests:
		return r
	default:
	}
	if !waits || taken == 0 || taken >= maxLate {
		return nil
	}
	select {
	case r := <-w.requests:
		return r
	case <-late:
	case <-w.closing:
	}
	return nil
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
