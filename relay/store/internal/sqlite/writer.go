package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/relaykeep/relaykeep/relay/store/internal/commit"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// writer is the connection that writes, with the room that there is for it, as commit.Writer
// uses them.
type writer struct {
	conn *conn
	room *room

	first bool // no change of the transaction was marked yet
	saved bool // the change that runs has a savepoint
}

// Transact runs fn in a write transaction.
func (w *writer) Transact(fn func() error) error {
	w.room.measure(w.conn)
	w.first = true
	err := w.conn.transact(fn)
	w.room.failed(err)
	return err
}

// Mark begins a savepoint, which Keep or Undo ends. The first change of a transaction needs none.
func (w *writer) Mark() (commit.Tx, error) {
	w.saved, w.first = !w.first, false
	if !w.saved {
		return w.tx(), nil
	}
	_, err := w.conn.run("SAVEPOINT caller")
	return w.tx(), err
}

// Keep keeps what was written since Mark.
func (w *writer) Keep() error {
	if !w.saved {
		return nil
	}
	_, err := w.conn.run("RELEASE caller")
	return err
}

// Undo undoes what was written since Mark.
func (w *writer) Undo() error {
	if !w.saved {
		return w.conn.restart()
	}
	if _, err := w.conn.run("ROLLBACK TO caller"); err != nil {
		return fmt.Errorf("undoing a refused write: %w", err)
	}
	return w.Keep()
}

// Whole returns the transaction without a savepoint.
func (w *writer) Whole() engine.Tx { return w.tx() }

// Enough says whether a group has written as much as it may.
func (w *writer) Enough() bool { return w.room.enough() }

func (w *writer) tx() *tx { return &tx{conn: w.conn, room: w.room} }

// checkpoint copies the log into the database and truncates it, as far as it can at once:
// everybody's changes would wait as long as it waited for a view to end.
func (w *writer) checkpoint() error {
	err := errors.Join(w.conn.script("PRAGMA busy_timeout(0)"), w.conn.script("PRAGMA wal_checkpoint(TRUNCATE)"), w.conn.script("PRAGMA "+busyTimeout))
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

func (t *tx) Write(text string, args ...driver.Value) error {
	_, err := t.Run(text, args...)
	return err
}

func (t *tx) Rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	return t.conn.rows(text, each, args...)
}

func (t *tx) Fresh() { t.fresh = true }

func (t *tx) Usage() (volume, held int64) {
	return t.room.volume, t.room.held + t.room.spent + t.wrote
}

// Admit takes the room for what the change wrote.
func (t *tx) Admit(frees bool) error {
	if frees {
		return nil
	}
	return t.room.take(t.wrote, t.fresh)
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
