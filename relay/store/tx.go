package store

import (
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// errEnded means that a transaction was used after its function returned.
var errEnded = errors.New("store: transaction has ended")

// Tx is a transaction, valid only within the function that it was given to and for
// one goroutine.
type Tx struct {
	conn   *conn // nil once ended
	store  *Store
	writes bool

	// What one update asks for again and again; nothing else writes beside it.
	kept    CustomerID // is in the current epoch
	change  sum        // of the sum of sessions and pre-keys
	session *child     // was found or written last, for device
	device  carrier.DeviceID

	wrote int64 // bytes of what was written, roughly
	fresh bool  // something new was taken on: a message, a file

	uses []use // what customers came to use
	owed bool  // the quota does not count

	recount bool // what was deleted is not among uses
}

// nextIDs are the next row identifiers of the tables that count up. They are part
// of what a sealed value is bound to, so they must be known before the row is
// written; one that was given out is not used again while the store is open.
type nextIDs struct{ device, session, message, seen, job int64 }

func (n *nextIDs) load(c *conn) error {
	_, err := c.first(`SELECT
		(SELECT coalesce(max(id), 0) + 1 FROM devices),
		(SELECT coalesce(max(id), 0) + 1 FROM sessions),
		(SELECT coalesce(max(row), 0) + 1 FROM messages),
		(SELECT coalesce(max(row), 0) + 1 FROM seen),
		(SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'jobs')`,
		func(r row) error { return r.integers(&n.device, &n.session, &n.message, &n.seen, &n.job) })
	return err
}

// take returns the value and counts on.
func take(n *int64) int64 {
	v := *n
	*n++
	return v
}

func (t *Tx) run(text string, args ...driver.Value) (int64, error) {
	if t.conn == nil {
		return 0, errEnded
	}
	if !t.writes {
		return 0, ErrReadOnly
	}
	if !strings.HasPrefix(text, "DELETE") {
		t.wrote += weight(args)
	}
	return t.conn.run(text, args...)
}

// weight is how many bytes of room values take.
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

func (t *Tx) rows(text string, each func(row) error, args ...driver.Value) error {
	if t.conn == nil {
		return errEnded
	}
	return t.conn.rows(text, each, args...)
}

func (t *Tx) first(text string, each func(row) error, args ...driver.Value) (bool, error) {
	if t.conn == nil {
		return false, errEnded
	}
	return t.conn.first(text, each, args...)
}

func (t *Tx) integer(text string, args ...driver.Value) (int64, error) {
	if t.conn == nil {
		return 0, errEnded
	}
	return t.conn.integer(text, args...)
}

// allow checks a write before anything is sealed for it: nil once all conditions
// hold.
func (t *Tx) allow(conditions ...bool) error {
	if t.conn == nil {
		return errEnded
	}
	if !t.writes {
		return ErrReadOnly
	}
	for _, ok := range conditions {
		if !ok {
			return ErrInvalid
		}
	}
	return nil
}

func identifier(s string) bool { return s != "" && len(s) <= MaxIdentifier }
