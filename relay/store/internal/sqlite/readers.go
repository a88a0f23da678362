package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// maxReaders is how many views run at once; the next waits.
const maxReaders = 4

// readerPool holds the connections for views. They are opened when needed, so that a quiet
// relay has only one.
type readerPool struct {
	path string
	free chan *conn // nil entries are connections still to be opened

	mu     sync.Mutex // guards closed
	closed bool
}

func newReaderPool(path string) *readerPool {
	p := &readerPool{path: path, free: make(chan *conn, maxReaders)}
	for range maxReaders {
		p.free <- nil
	}
	return p
}

func (p *readerPool) take(ctx context.Context) (*conn, error) {
	select {
	case c := <-p.free:
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			p.free <- c
			return nil, engine.ErrClosed
		}
		if c != nil {
			return c, nil
		}
		c, err := openConn(p.path, "query_only(1)", "cache_size(-512)")
		if err != nil {
			p.free <- nil
			return nil, err
		}
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// give returns a connection that ended its transaction; a broken one is closed.
func (p *readerPool) give(c *conn, broken error) error {
	if broken != nil {
		p.free <- nil
		return errors.Join(broken, c.close())
	}
	p.free <- c
	return nil
}

// close waits for the running views and closes every connection.
func (p *readerPool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	var errs []error
	for range maxReaders {
		if c := <-p.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	for range maxReaders {
		p.free <- nil // later callers find the pool closed
	}
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
