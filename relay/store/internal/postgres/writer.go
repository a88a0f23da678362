package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/store/internal/commit"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// quiet is after how long without a word from the server a group first asks for one, so that
// a connection that broke meanwhile costs no change.
const quiet = time.Second

// writer is the connection that writes, with the term in which it may, as commit.Writer uses
// them. Only the writing goroutine uses it, except for full.
type writer struct {
	config  Config
	closing context.Context //nolint:containedctx // ends when the database is closed
	conn    *conn
	lease   lease
	lost    error // why nothing can be written any more; nil: it can

	held     int64 // bytes that the database takes, as measured last
	measured time.Time
	spent    int64 // bytes written since
	group    int64 // bytes written by this group

	full    atomic.Bool           // the server had no room
	trouble atomic.Pointer[error] // how the last attempt to reach the database failed; nil: it did not
}

// Transact runs fn in a transaction that begins with a look at the term. If the answer to its
// end is lost, it asks the server what became of it.
func (w *writer) Transact(fn func() error) error {
	if err := w.note(w.begin()); err != nil {
		return err
	}
	w.group = 0
	err := fn()
	if err == nil {
		err = w.lost // whatever the changes made of it
	}
	if w.lost != nil {
		_ = w.note(w.lost)
	}
	if err != nil {
		w.noteFull(err)
		return errors.Join(err, w.conn.rollback())
	}
	asked, err := w.conn.commit()
	if asked && w.conn.broken != nil {
		err = w.note(w.resolve())
	} else if asked && err == nil {
		w.lease.groups++
	}
	if err == nil && w.group > 0 {
		w.full.Store(false)
		w.spent += w.group
	}
	w.noteFull(err)
	if err != nil {
		return errors.Join(err, w.conn.rollback())
	}
	return nil
}

func (w *writer) noteFull(err error) {
	if errors.Is(err, engine.ErrFull) {
		w.full.Store(true)
	}
}

// begin makes the connection ready for a group.
func (w *writer) begin() error {
	if err := w.ready(); err != nil {
		return err
	}
	w.measure()
	if err := w.open(); err != nil || time.Since(w.conn.used) < quiet {
		return err
	}
	_, err := w.conn.exchange(step{}, nil)
	if !errors.Is(err, engine.ErrUnreachable) {
		return w.fenced(err)
	}
	if err := w.ready(); err != nil { // it broke while nobody used it
		return err
	}
	return w.open()
}

// open begins a transaction with the look at the term. Both travel with its first statement.
func (w *writer) open() error {
	if err := w.conn.begin("BEGIN"); err != nil {
		return err
	}
	return w.conn.add(textGroup, w.check, w.lease.term, w.lease.groups+1)
}

// check looks at how many rows have our term.
func (w *writer) check(rows int64) error {
	if rows != 1 {
		w.lost = engine.ErrFenced
		return w.lost
	}
	return nil
}

// fenced ends the transaction of an exchange that failed.
func (w *writer) fenced(err error) error {
	if err != nil {
		return errors.Join(err, w.conn.rollback())
	}
	return nil
}

// textSize asks how many bytes the database takes.
const textSize = `SELECT pg_database_size(current_database())`

// measure looks at how much the database takes, now and then. What cannot be measured stays.
func (w *writer) measure() {
	if w.config.Size == 0 || time.Since(w.measured) < 10*time.Second {
		return
	}
	w.measured = time.Now()
	_ = w.conn.rows(textSize, func(row []driver.Value) error {
		w.held, _ = row[0].(int64)
		w.spent = 0
		return nil
	})
}

// ready returns once there is a connection and the term is still ours, or says why not.
func (w *writer) ready() error {
	if w.lost != nil {
		return w.lost
	}
	if w.conn != nil && w.conn.broken == nil {
		return nil
	}
	known := w.lease.groups
	groups, err := w.reconnect()
	if err == nil && groups != known {
		err = w.rolledBack()
	}
	return err
}

// resolve finds out whether the group whose end the server did not confirm is durable. It asks
// until there is an answer, or the database is closed.
func (w *writer) resolve() error {
	before := w.lease.groups
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, time.Second
	for {
		groups, err := w.reconnect()
		_ = w.note(err)
		switch {
		case errors.Is(err, engine.ErrFenced):
			return w.formerly(before)
		case err == nil && groups == before+1:
			return nil
		case err == nil && groups == before:
			return engine.ErrUnreachable // it is as if it had not begun
		case err == nil:
			return w.rolledBack()
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-w.closing.Done():
			return engine.ErrUncertain
		}
	}
}

// formerly says what became of the last group of our term, which is over.
func (w *writer) formerly(before int64) error {
	c, err := dial(w.closing, w.config, idleWriter)
	if err != nil {
		return engine.ErrUncertain
	}
	defer c.close()
	groups := int64(-1)
	err = c.rows(textFormer, func(row []driver.Value) error {
		groups, _ = row[0].(int64)
		return nil
	}, w.lease.term)
	switch {
	case err != nil || groups < before:
		return errors.Join(engine.ErrUncertain, err)
	case groups > before:
		return nil
	}
	return engine.ErrFenced
}

// reconnect opens another connection for our term and says how many of its groups are durable.
// Locking the row waits for the end of a transaction of ours that the server may still be
// running, so the number is final.
func (w *writer) reconnect() (groups int64, err error) {
	c, err := dial(w.closing, w.config, idleWriter)
	if err != nil {
		return 0, err
	}
	if err := w.adopt(c); err != nil {
		c.close()
		return 0, err
	}
	w.conn = c
	return w.lease.groups, nil
}

// adopt makes a connection the one that writes in our term.
func (w *writer) adopt(c *conn) error {
	if _, err := c.run(textEndOwn, w.lease.term); err != nil {
		return err
	}
	return c.transact(func() error {
		l, err := readLease(c)
		if err != nil {
			return err
		}
		if l.term != w.lease.term {
			w.lost = engine.ErrFenced
			return w.lost
		}
		here, err := placeNow(c)
		if err != nil {
			return err
		}
		if l.groups >= w.lease.groups {
			l.place = here // what was committed is there: it is the same database
		}
		w.lease = l
		return l.write(c)
	})
}

// rolledBack ends our term in a database that lost what it had, so that it counts as restored
// when it is opened next.
func (w *writer) rolledBack() error {
	w.lost = engine.ErrRolledBack
	_, err := w.conn.run(`UPDATE relaykeep.engine SET place = '', pid = 0 WHERE term = ?`, w.lease.term)
	return errors.Join(w.lost, err)
}

// renew tells others that we are there, if no group has lately. It reconnects if it must.
func (w *writer) renew() error { return w.note(w.stay()) }

func (w *writer) stay() error {
	if err := w.ready(); err != nil {
		return err
	}
	if time.Since(w.conn.used) < renewEvery/2 {
		return nil
	}
	rows, err := w.conn.run(textRenew, w.lease.term)
	if err != nil {
		return err
	}
	return w.check(rows)
}

// leave lets others open the database at once.
func (w *writer) leave() {
	if w.conn == nil || w.conn.broken != nil {
		return
	}
	if w.lost == nil {
		_, _ = w.conn.run(textLeave, w.lease.term) // else the end of the session says so
	}
	w.conn.close()
}

// Mark begins a savepoint, which Keep or Undo ends.
func (w *writer) Mark() (commit.Tx, error) {
	if w.lost != nil {
		return nil, w.lost
	}
	return &tx{writer: w}, w.conn.savepoint()
}

// Keep keeps what was written since Mark.
func (w *writer) Keep() error { return w.conn.keep() }

// Undo undoes what was written since Mark.
func (w *writer) Undo() error { return w.conn.undo() }

// Whole returns the transaction without a savepoint.
func (w *writer) Whole() engine.Tx { return &tx{writer: w} }

// Enough says whether a group has written as much as it may.
func (w *writer) Enough() bool { return w.group >= groupBytes }

// groupBytes is how much a group writes, so that it does not take long.
const groupBytes = 16 << 20

// tx is a change's transaction.
type tx struct {
	writer *writer
	wrote  int64 // roughly how many bytes were written
}

// Run executes a statement.
func (t *tx) Run(text string, args ...driver.Value) (int64, error) {
	t.weigh(text, args)
	return t.writer.conn.run(text, args...)
}

// Write has a statement executed before the next one, or at the end of the change.
func (t *tx) Write(text string, args ...driver.Value) error {
	t.weigh(text, args)
	return t.writer.conn.write(text, args...)
}

// weigh adds up what a statement writes.
func (t *tx) weigh(text string, args []driver.Value) {
	if strings.HasPrefix(text, "DELETE") {
		return
	}
	for _, a := range args {
		switch v := a.(type) {
		case []byte:
			t.wrote += int64(len(v))
		case string:
			t.wrote += int64(len(v))
		}
	}
}

// Rows runs a query.
func (t *tx) Rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	return t.writer.conn.rows(text, each, args...)
}

// Fresh has no effect: only the server knows how much room there is.
func (t *tx) Fresh() {}

// Usage says how much the database may take and takes.
func (t *tx) Usage() (volume, held int64) {
	w := t.writer
	return w.config.Size, w.held + w.spent + w.group + t.wrote
}

// Admit has the server execute what was written last, and refuses a change of which a statement
// failed, whatever it returned: the server has undone all of it.
func (t *tx) Admit(bool) error {
	c := t.writer.conn
	if err := c.unusable(); err != nil {
		return err
	}
	if c.writes() {
		if _, err := c.exchange(step{}, nil); err != nil {
			return err
		}
	}
	t.writer.group += t.wrote
	return nil
}
