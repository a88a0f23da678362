package postgres

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/commit"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// DB is an open database. Its methods are safe for concurrent use.
type DB struct {
	config  Config
	writer  *writer
	birth   int64
	changes *commit.Writer
	readers *readers

	end   context.CancelFunc // ends waiting for the server
	ended chan struct{}      // closed when the lease is renewed no more
}

var _ engine.Database = (*DB)(nil)

// deletedAtOnce is how many bytes one change deletes: others wait meanwhile.
const deletedAtOnce = 4 << 20

// Open opens a database, or creates its schema. It begins a term in which this process alone
// writes, and tells g about each group of changes. ctx bounds opening.
func Open(ctx context.Context, f Config, g engine.Group) (*DB, error) {
	c, l, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	closing, end := context.WithCancel(context.WithoutCancel(ctx))
	w := &writer{config: f, closing: closing, conn: c, lease: l}
	d := &DB{
		config: f, writer: w, birth: l.birth, changes: commit.Start(w, g), readers: newReaders(f),
		end: end, ended: make(chan struct{}),
	}
	go d.renew(closing)
	return d, nil
}

// Create creates the schema of an empty database, unless it is there already.
func Create(ctx context.Context, f Config) error {
	c, l, err := f.open(ctx)
	if err != nil {
		return err
	}
	(&writer{conn: c, lease: l}).leave()
	return nil
}

// open connects, looks whether the server and the database are what they must be, and begins a
// term.
func (f Config) open(ctx context.Context) (*conn, lease, error) {
	c, err := dial(ctx, f, cmp.Or(f.idle, idleWriter))
	if err != nil {
		return nil, lease{}, err
	}
	var l lease
	for _, step := range []func() error{
		func() error { return checkServer(c) },
		func() error { return f.begin(c) },
		func() (err error) { l, err = takeLease(ctx, c, cmp.Or(f.silence, leaseTime)); return err },
		func() error { return f.prepare(c) }, // not beneath another writer
	} {
		if err := step(); err != nil {
			c.close()
			return nil, lease{}, err
		}
	}
	return c, l, nil
}

// oldest is the first version that we know to work, as server_version_num has it.
const oldest = 150000

// checkServer says why a server cannot be used.
func checkServer(c *conn) error {
	if v := c.pg.ParameterStatus("server_encoding"); v != "UTF8" {
		return engine.ErrEncoding
	}
	var version, readOnly string
	err := c.rows(`SELECT current_setting('server_version_num'), current_setting('transaction_read_only')`, func(row []driver.Value) error {
		version, _ = row[0].(string)
		readOnly, _ = row[1].(string)
		return nil
	})
	if err != nil {
		return err
	}
	return checkSettings(version, readOnly)
}

// checkSettings says why a server of a version, as server_version_num has it, cannot be used.
func checkSettings(version, readOnly string) error {
	number, err := strconv.Atoi(version)
	switch {
	case err != nil:
		return errors.New("reading the server's version: it is no number")
	case number < oldest:
		return engine.ErrTooOld
	case readOnly != "off":
		return engine.ErrStandby
	}
	return nil
}

// renew keeps the lease while nothing is written.
func (d *DB) renew(ctx context.Context) {
	defer close(d.ended)
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = d.changes.Alone(ctx, d.writer.renew) // the next group says what is wrong
		case <-ctx.Done():
			return
		}
	}
}

// Begin queues a change for the writing goroutine.
func (d *DB) Begin(ctx context.Context, c engine.Change) (wait func() error) {
	return d.changes.Begin(ctx, c)
}

// Shrink runs a change that frees room. PostgreSQL needs no reserve of ours for it.
func (d *DB) Shrink(ctx context.Context, c engine.Change) error {
	c.Frees = true
	return d.Begin(ctx, c)()
}

// View runs fn on a snapshot.
func (d *DB) View(ctx context.Context, fn func(engine.Tx) error) error {
	return d.readers.view(ctx, fn)
}

// textTables lists our tables.
const textTables = `SELECT string_agg(format('relaykeep.%I', relname), ', ' ORDER BY relname)
	FROM pg_class WHERE relnamespace = to_regnamespace('relaykeep') AND relkind = 'r'`

// Scrub has the server remove deleted rows from the tables. Where a view is open, it leaves
// those that the view may see to a later Scrub. The server's log and backups keep what they
// have, and so may the unused part of a page until it is written again.
func (d *DB) Scrub(ctx context.Context) error {
	if d.writer.closing.Err() != nil {
		return engine.ErrClosed
	}
	c, err := dial(ctx, d.config, idleWriter)
	if err != nil {
		return err
	}
	defer c.close()
	var tables string
	err = c.rows(textTables, func(row []driver.Value) error {
		tables, _ = row[0].(string)
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(c.script("SET statement_timeout = '10min'"), c.scriptWithin(11*time.Minute, "VACUUM "+tables))
}

// Batch is how many bytes one change should delete at most.
func (d *DB) Batch() int64 { return deletedAtOnce }

// Full says whether the server had no room for the last group that wrote.
func (d *DB) Full() bool { return d.writer.full.Load() }

// Freed is 0: the server does not say how much of its files is free.
func (d *DB) Freed() int64 { return 0 }

// Room asks the server how much the database takes. How much room the server has it does not say, so the limit is the
// configured size.
func (d *DB) Room(ctx context.Context) (r engine.Room, err error) {
	r.Limit = d.config.Size
	err = d.readers.view(ctx, func(tx engine.Tx) error {
		return tx.Rows(textSize, func(row []driver.Value) error {
			r.Used, _ = row[0].(int64)
			return nil
		})
	})
	if r.Limit > 0 {
		r.Free = max(0, r.Limit-r.Used)
	}
	return r, err
}

// Birth is a random number that opening replaces when the database lies elsewhere.
func (d *DB) Birth() int64 { return d.birth }

// Close lets the running group end, fails those that wait with engine.ErrClosed, and lets
// others open the database.
func (d *DB) Close() error {
	d.end()
	<-d.ended
	d.changes.Stop()
	d.readers.close()
	d.writer.leave()
	return nil
}
