package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// maxReaders is how many views run at once; the next waits.
const maxReaders = 4

// readerPool holds the connections for views. One is opened only when all others are in use, so that a quiet
// relay has only one, whose pages and statements are in memory.
type readerPool struct {
	path  string
	turns *semaphore.Weighted // one for each view

	mu     sync.Mutex // guards the following fields
	idle   []*conn    // the one that was used last is the last
	closed bool
}

func newReaderPool(path string) *readerPool {
	return &readerPool{path: path, turns: semaphore.NewWeighted(maxReaders)}
}

func (p *readerPool) take(ctx context.Context) (*conn, error) {
	if err := p.turns.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	c, err := p.open()
	if err != nil {
		p.turns.Release(1)
	}
	return c, err
}

// open returns an idle connection, or a new one.
func (p *readerPool) open() (*conn, error) {
	p.mu.Lock()
	closed, last := p.closed, len(p.idle)-1
	if !closed && last >= 0 {
		c := p.idle[last]
		p.idle = slices.Delete(p.idle, last, last+1)
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	if closed {
		return nil, engine.ErrClosed
	}
	return openConn(p.path, "query_only(1)", "cache_size(-512)")
}

// give returns a connection that ended its transaction; a broken one is closed.
func (p *readerPool) give(c *conn, broken error) error {
	defer p.turns.Release(1)
	if broken != nil {
		return errors.Join(broken, c.close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
	return nil
}

// close waits for the running views and closes every connection.
func (p *readerPool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.turns.Acquire(context.Background(), maxReaders) // that context does not end
	defer p.turns.Release(maxReaders)                     // later callers find the pool closed
	p.mu.Lock()
	defer p.mu.Unlock()
	errs := make([]error, 0, len(p.idle))
	for _, c := range p.idle {
		errs = append(errs, c.close())
	}
	p.idle = nil
	return errors.Join(errs...)
}

// view runs fn in a read transaction. It passes on a panic of fn.
func (p *readerPool) view(ctx context.Context, fn func(engine.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	if _, err := c.run("BEGIN"); err != nil {
		return p.give(c, err)
	}
	ended := false
	defer func() {
		if !ended { // fn panicked
			_ = p.give(c, endView(c))
		}
	}()
	err = fn(view{c})
	ended = true
	if broken := p.give(c, endView(c)); broken != nil {
		return errors.Join(err, broken)
	}
	return err
}

func endView(c *conn) error {
	_, err := c.run("ROLLBACK")
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
