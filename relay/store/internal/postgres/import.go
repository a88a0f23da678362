package postgres

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Bounds of what goes to the server at once while rows are copied.
const (
	importRows  = 256
	importBytes = 1 << 20
)

// Import is the one transaction in which rows are copied into a database.
type Import struct {
	conn *conn
	term int64

	rows, bytes int // ahead of the server
}

// ImportInto runs fn in a transaction of its own term and commits it if fn returns nil. It creates the
// schema in an empty database, as Open does, and fails like it.
func ImportInto(ctx context.Context, f Config, fn func(*Import) error) error {
	return f.importing(ctx, fn, func(*conn, lease) error { return nil })
}

// ReceiveInto is ImportInto for rows that come over a way that may be slow, from somebody who is not known yet: the server
// waits for so long for what comes next, and if fn fails, a schema in which nothing was ever sealed is removed, so that the
// database is bound to nobody.
func ReceiveInto(ctx context.Context, f Config, idle time.Duration, fn func(*Import) error) error {
	f.idle = idle
	return f.importing(ctx, fn, forget)
}

func (f Config) importing(ctx context.Context, fn func(*Import) error, failed func(*conn, lease) error) error {
	c, l, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { (&writer{conn: c, lease: l}).leave() }()
	stop := context.AfterFunc(ctx, func() { c.within(0) })
	defer stop()
	err = c.transact(func() error {
		held, err := c.run(textGroup, l.term, l.groups+1) // nobody takes over unnoticed
		if err == nil && held != 1 {
			err = engine.ErrFenced
		}
		if err != nil {
			return err
		}
		i := &Import{conn: c, term: l.term}
		if err := fn(i); err != nil {
			return err
		}
		return i.flush()
	})
	if err != nil && c.broken == nil {
		err = errors.Join(err, failed(c, l))
	}
	return cmp.Or(ctx.Err(), err)
}

// forget removes the schema, unless something was sealed in it or another process writes.
func forget(c *conn, l lease) error {
	err := c.transact(func() error {
		held, err := c.run(textRenew, l.term)
		if err != nil || held != 1 {
			return err
		}
		used, err := state{version: 1}.used(c)
		if err != nil || used {
			return err
		}
		return c.script("DROP SCHEMA relaykeep CASCADE")
	})
	if err != nil {
		return fmt.Errorf("removing an empty schema: %w", err)
	}
	return nil
}

// Put has the server execute a statement, at the latest before the next query.
func (i *Import) Put(text string, args ...driver.Value) error {
	if err := i.conn.write(text, args...); err != nil {
		return err
	}
	i.rows++
	for _, a := range args {
		if b, is := a.([]byte); is {
			i.bytes += len(b)
		}
	}
	if i.rows < importRows && i.bytes < importBytes {
		return nil
	}
	return i.flush()
}

func (i *Import) flush() error {
	i.rows, i.bytes = 0, 0
	if len(i.conn.ahead) == 0 {
		return nil
	}
	_, err := i.conn.exchange(step{}, nil)
	return err
}

// Rows calls each for every row of a query.
func (i *Import) Rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	return i.conn.rows(text, each, args...)
}

// Continue has identifiers that the server gives out follow those that were copied: of the pieces of files,
// and of jobs, of which the highest ever given out is job.
func (i *Import) Continue(job int64) error {
	chunks := int64(0)
	err := i.conn.rows(`SELECT coalesce(max(id), 0) FROM media_chunks`, func(row []driver.Value) error {
		chunks, _ = row[0].(int64)
		return nil
	})
	if err == nil && chunks > 0 {
		err = i.conn.rows(`SELECT setval(pg_get_serial_sequence('relaykeep.media_chunks', 'id'), ?)`,
			func([]driver.Value) error { return nil }, chunks)
	}
	if err != nil {
		return fmt.Errorf("continuing the identifiers of files: %w", err)
	}
	// The next term's range begins at its number << 32.
	rows, err := i.conn.run(`UPDATE relaykeep.engine SET term = ?2 WHERE term = ?1`, i.term, max(i.term, job>>32))
	if err == nil && rows != 1 {
		err = errors.New("postgres: the term is another one")
	}
	if err != nil {
		return fmt.Errorf("continuing the identifiers of jobs: %w", err)
	}
	return nil
}
