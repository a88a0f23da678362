package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// maxReaders is how many views run at once; the next waits.
const maxReaders = 4

// idleReader is how long the server waits for the next statement of a view.
const idleReader = 10 * time.Minute

// textSnapshot begins a view. Its first query takes the snapshot.
const textSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// readers holds the connections for views. They are opened when needed, and the one that was used
// last is used first, so that a quiet relay has few.
type readers struct {
	config Config
	turns  chan struct{} // one for each view that runs

	mu     sync.Mutex // guards the following fields
	idle   []*conn
	closed bool
}

func newReaders(f Config) *readers {
	return &readers{config: f, turns: make(chan struct{}, maxReaders)}
}

// take returns a connection in a transaction.
func (r *readers) take(ctx context.Context) (*conn, error) {
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := r.pop()
	if err == nil {
		c, err = r.begin(ctx, c)
	}
	if err != nil {
		r.give(c)
		return nil, err
	}
	return c, nil
}

// pop returns the connection that was used last; nil when there is none.
func (r *readers) pop() (c *conn, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, engine.ErrClosed
	}
	if n := len(r.idle); n > 0 {
		c, r.idle = r.idle[n-1], r.idle[:n-1]
	}
	return c, nil
}

// begin begins a view on a connection, or on a new one if there is none or it broke while
// nobody used it.
func (r *readers) begin(ctx context.Context, c *conn) (*conn, error) {
	if c != nil {
		err := c.begin(textSnapshot)
		if err == nil && time.Since(c.used) >= quiet {
			_, err = c.exchange(step{}, nil)
		}
		if !errors.Is(err, engine.ErrUnreachable) {
			return c, err
		}
	}
	c, err := dial(ctx, r.config, idleReader)
	if err != nil {
		return nil, err
	}
	return c, c.begin(textSnapshot)
}

// give returns a connection that ended its transaction; a broken one is replaced when needed.
func (r *readers) give(c *conn) {
	if c != nil && c.broken == nil {
		r.mu.Lock()
		r.idle = append(r.idle, c)
		r.mu.Unlock()
	}
	<-r.turns
}

// close waits for the running views and closes every connection.
func (r *readers) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for range maxReaders { // nobody's turn any more
		r.turns <- struct{}{}
	}
	for _, c := range r.idle {
		c.close()
	}
	for range maxReaders {
		<-r.turns // later callers find the pool closed
	}
}

// view runs fn in a read transaction. It passes on a panic of fn.
func (r *readers) view(ctx context.Context, fn func(engine.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := r.take(ctx)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended { // fn panicked
			_ = c.rollback()
			r.give(c)
		}
	}()
	err = fn(view{c})
	ended = true
	failed := c.rollback()
	r.give(c)
	if failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// view is the transaction of a reader.
type view struct{ conn *conn }

func (view) Run(string, ...driver.Value) (int64, error) { return 0, engine.ErrReadOnly }

func (view) Write(string, ...driver.Value) error { return engine.ErrReadOnly }

func (v view) Rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	return v.conn.rows(text, each, args...)
}

func (view) Fresh() {}

func (view) Usage() (volume, held int64) { return 0, 0 }
