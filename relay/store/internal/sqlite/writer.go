package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/relaykeep/relaykeep/relay/store/internal/commit"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Bounds of what is kept to be run again: how many statements, and bytes in their arguments. They bound
// the time that one refused change takes from the others of its transaction, to some milliseconds and what the
// largest of their deletions took.
const (
	maxReplayed      = 1 << 10
	maxReplayedBytes = 1 << 20
)

// writer is the connection that writes, with the room that there is for it, as commit.Writer
// uses them.
//
// A savepoint for each change would take a tenth of the writer's time: SQLite copies every page that is
// written after one. Few changes are refused after they wrote. So the first changes of a transaction have
// none: if one of them is undone, the transaction starts over, and the statements of those before it run
// again. After that, and once there are many, each change gets a savepoint.
type writer struct {
	conn *conn
	room *room

	saves  bool // changes of this transaction have savepoints
	replay replay
	kept   int // how many of its statements are of changes that are kept
}

// replay is what a transaction has run, up to the bounds.
type replay struct {
	statements []statement
	args       []driver.Value // of all of them
	bytes      int64          // in the arguments
	more       bool           // it has run more than that
}

// statement is a statement that may write, with the arguments up to a place among those of all.
type statement struct {
	text string
	end  int
}

// add notes a statement.
func (r *replay) add(text string, args []driver.Value, bytes int64) {
	if r.more = r.more || len(r.statements) == maxReplayed || r.bytes+bytes > maxReplayedBytes; r.more {
		return
	}
	r.args = append(r.args, args...)
	r.statements = append(r.statements, statement{text, len(r.args)})
	r.bytes += bytes
}

// each calls run for the first n statements.
func (r *replay) each(n int, run func(text string, args ...driver.Value) (int64, error)) error {
	from := 0
	for _, s := range r.statements[:n] {
		if _, err := run(s.text, r.args[from:s.end]...); err != nil {
			return err
		}
		from = s.end
	}
	return nil
}

// forget forgets everything.
func (r *replay) forget() {
	clear(r.args)
	*r = replay{statements: r.statements[:0], args: r.args[:0]}
}

// Transact runs fn in a write transaction.
func (w *writer) Transact(fn func() error) error {
	w.room.measure(w.conn)
	w.saves, w.kept = false, 0
	err := w.conn.transact(fn)
	w.replay.forget()
	w.room.failed(err)
	return err
}

// Mark begins a change, which Keep or Undo ends.
func (w *writer) Mark() (commit.Tx, error) {
	t := &tx{conn: w.conn, room: w.room}
	if !w.saves {
		t.replay = &w.replay
		return t, nil
	}
	_, err := w.conn.run("SAVEPOINT caller")
	return t, err
}

// Keep keeps what was written since Mark.
func (w *writer) Keep() error {
	if w.saves {
		_, err := w.conn.run("RELEASE caller")
		return err
	}
	if w.kept = len(w.replay.statements); w.replay.more {
		w.save()
	}
	return nil
}

// save has the changes that follow saved one by one.
func (w *writer) save() {
	w.saves = true
	w.replay.forget()
}

// Undo undoes what was written since Mark.
func (w *writer) Undo() error {
	if w.saves {
		if _, err := w.conn.run("ROLLBACK TO caller"); err != nil {
			return fmt.Errorf("undoing a refused write: %w", err)
		}
		return w.Keep()
	}
	if w.conn.ended != nil {
		return w.conn.ended
	}
	if len(w.replay.statements) == w.kept && !w.replay.more {
		return nil // it wrote nothing
	}
	if err := w.conn.restart(); err != nil {
		return err
	}
	if err := w.replay.each(w.kept, w.conn.run); err != nil {
		return fmt.Errorf("writing again beside a refused write: %w", err)
	}
	w.save()
	return nil
}

// Whole returns the transaction as it is, for what is not undone alone.
func (w *writer) Whole() engine.Tx { return &tx{conn: w.conn, room: w.room} }

// Enough says whether a group has written as much as it may.
func (w *writer) Enough() bool { return w.room.enough() }

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
	conn   *conn
	room   *room
	replay *replay // nil: nothing of it is run again
	wrote  int64   // roughly how many bytes were written
	fresh  bool    // it is new work
}

func (t *tx) Run(text string, args ...driver.Value) (int64, error) {
	bytes := weight(args)
	if !strings.HasPrefix(text, "DELETE") {
		t.wrote += bytes
	}
	if t.replay != nil {
		t.replay.add(text, args, bytes)
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
