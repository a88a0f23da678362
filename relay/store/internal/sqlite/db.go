package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/relaykeep/relaykeep/relay/store/internal/commit"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// DB is an open database. Its methods are safe for concurrent use.
type DB struct {
	path    string
	lock    *os.File
	writer  *writer
	changes *commit.Writer
	readers *readerPool
}

var _ engine.Database = (*DB)(nil)

// Open opens the database in a directory, or creates it. It holds the directory's lock until
// Close, and tells g about each group of changes. Errors are engine.ErrForeign, ErrMissing,
// ErrLocked, ErrNewer, ErrDamaged, ErrFull, or those of the file system.
func Open(f Files, g engine.Group) (*DB, error) {
	o, err := f.open()
	if err != nil {
		return nil, err
	}
	w := &writer{conn: o.conn, room: o.room}
	return &DB{path: f.path(), lock: o.lock, writer: w, changes: commit.Start(w, g), readers: newReaderPool(f.path())}, nil
}

// Begin queues a change for the writing goroutine.
func (d *DB) Begin(ctx context.Context, c engine.Change) (wait func() error) {
	return d.changes.Begin(ctx, c)
}

// Shrink runs a change that frees room. When no other room is left, it deletes the reserve and
// runs Do a second time. Do must not delete much more than Batch bytes.
func (d *DB) Shrink(ctx context.Context, c engine.Change) error {
	c.Frees = true
	err := d.Begin(ctx, c)()
	if !errors.Is(err, engine.ErrFull) {
		return err
	}
	given := false
	if failed := d.changes.Alone(ctx, func() error {
		given = d.writer.room.give()
		_ = d.writer.checkpoint() // it may free room
		return nil
	}); failed != nil || !given {
		return errors.Join(err, failed)
	}
	return d.Begin(ctx, c)()
}

// View runs fn on a consistent snapshot of what is committed. Views run beside each
// other and beside changes.
func (d *DB) View(ctx context.Context, fn func(engine.Tx) error) error {
	return d.readers.view(ctx, fn)
}

// Scrub moves what is committed into the database's file and truncates the log, which holds
// earlier states of its pages. While a view is open, it leaves that to a later Scrub.
func (d *DB) Scrub(ctx context.Context) error {
	// Between two groups of changes: a checkpoint cannot run within a transaction.
	return d.changes.Alone(ctx, d.writer.checkpoint)
}

// Batch is how many bytes one change should delete at most: they go through the log.
func (d *DB) Batch() int64 { return d.writer.room.log }

// Full says whether the volume may have no room for anything new. It is measured with each
// group of changes.
func (d *DB) Full() bool { return d.writer.room.full.Load() }

// Freed is how many bytes in the file are free for new rows: the file does not shrink.
func (d *DB) Freed() int64 { return d.writer.room.free.Load() }

// Room measures the volume, and the database in it. What others keep on the volume is neither used nor free.
func (d *DB) Room(ctx context.Context) (r engine.Room, err error) {
	err = d.readers.view(ctx, func(tx engine.Tx) error {
		pages, err := integer(tx, "PRAGMA page_count")
		if err != nil {
			return err
		}
		unused, err := integer(tx, "PRAGMA freelist_count")
		if err != nil {
			return err
		}
		r.Used = (pages - unused) * pageSize
		var s unix.Statfs_t
		if unix.Statfs(d.path, &s) == nil {
			r.Limit, r.Free = int64(s.Blocks)*s.Bsize, int64(s.Bavail)*s.Bsize+unused*pageSize
		}
		return nil
	})
	return r, err
}

// integer returns the one number that a query finds.
func integer(tx engine.Tx, text string) (n int64, err error) {
	err = tx.Rows(text, func(row []driver.Value) error {
		n, _ = row[0].(int64)
		return nil
	})
	return n, err
}

// Birth says when the file was made, in nanoseconds since 1970, or 0 if the file system does
// not record that. A copy of a file has its own birth time; a snapshot of a whole block device
// keeps the time.
func (d *DB) Birth() int64 { return birth(d.path) }

func birth(path string) int64 {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &stat); err != nil ||
		stat.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return stat.Btime.Sec*1e9 + int64(stat.Btime.Nsec)
}

// Close lets the running transactions end, fails those that wait with engine.ErrClosed,
// and unlocks the directory.
func (d *DB) Close() error {
	d.changes.Stop()
	return errors.Join(d.readers.close(), d.writer.conn.close(), d.lock.Close())
}
