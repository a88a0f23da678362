package store

import (
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// errEnded means that a transaction was used after its function returned.
var errEnded = errors.New("store: transaction has ended")

// Tx is a transaction, valid only within the function that it was given to and for
// one goroutine.
type Tx struct {
	conn   engine.Tx // nil once ended
	shared *shared
	writes bool
	args   [12]driver.Value // of the next statement: see pass

	// Caches for one update; nothing else writes beside it.
	kept    CustomerID // is in the current epoch
	change  sum        // of the sum of sessions and pre-keys
	session *child     // was found or written last, for device
	device  carrier.DeviceID

	uses    []use           // what customers came to use
	counts  []Count         // what was counted
	metered []meteredAmount // what is to be billed
	then    []func()        // to be called once it is durable
	owed    bool            // the quota is lifted

	recount bool // uses does not cover everything that was deleted
}

// use is how many more bytes a customer uses; negative for fewer.
type use struct {
	customer CustomerID
	bytes    int64
}

func (t *Tx) run(text string, args ...driver.Value) (int64, error) {
	if err := t.changes(text, args); err != nil {
		return 0, err
	}
	return t.conn.Run(text, t.pass(args)...)
}

// changes refuses a statement where nothing may be written, and forgets rows that it may delete.
func (t *Tx) changes(text string, args []driver.Value) error {
	if t.conn == nil {
		return errEnded
	}
	if !t.writes {
		return ErrReadOnly
	}
	if deletesHot(text) {
		t.shared.hot.forget()
		t.shared.hot.changed = true
		t.shared.lately.forget()
	}
	if text == textFinish {
		t.shared.hot.dropJob(args[0].(int64))
	}
	return nil
}

// hot returns what the writer remembers; nil in a view.
func (t *Tx) hot() *hot {
	if !t.writes {
		return nil
	}
	return &t.shared.hot
}

// deletesHot says whether a statement may delete rows that the writer remembers: devices, sessions and
// messages also go with their customer. It must know them all: a change of a row that is gone, but remembered, would be lost.
func deletesHot(text string) bool {
	table, deletes := strings.CutPrefix(text, "DELETE FROM ")
	if !deletes {
		return false
	}
	table, _, _ = strings.Cut(table, " ")
	return table == "customers" || table == "devices" || table == "sessions" || table == "messages"
}

// write is run for a statement of which nobody needs to know how many rows it changed: an engine may
// send it with the next. If it fails, a later call or the end of the update says so.
func (t *Tx) write(text string, args ...driver.Value) error {
	if err := t.changes(text, args); err != nil {
		return err
	}
	return t.conn.Write(text, t.pass(args)...)
}

// Then has do called once what the update wrote is durable, before Update returns; never if it fails. Do must be quick, and must
// not wait for the store. It is for what is counted outside of the store, which a change that is tried again must not count twice.
func (t *Tx) Then(do func()) { t.then = append(t.then, do) }

// First returns which of two Lives ends first; zero stands for one that begins now.
func (t *Tx) First(a, b Life) Life { return t.shared.memory.first(a, b) }

// pass copies arguments into t, so that a statement costs its caller no allocation. Engines
// copy them before they run anything.
func (t *Tx) pass(args []driver.Value) []driver.Value {
	return append(t.args[:0], args...)
}

func (t *Tx) rows(text string, each func(row) error, args ...driver.Value) error {
	if t.conn == nil {
		return errEnded
	}
	return t.conn.Rows(text, func(values []driver.Value) error { return each(values) }, t.pass(args)...)
}

// first calls each for the first row only and says whether there was one.
func (t *Tx) first(text string, each func(row) error, args ...driver.Value) (found bool, err error) {
	err = t.rows(text, func(r row) error {
		if found {
			return nil
		}
		found = true
		return each(r)
	}, args...)
	return found, err
}

// integer returns the first column of the first row, or 0.
func (t *Tx) integer(text string, args ...driver.Value) (n int64, err error) {
	_, err = t.first(text, func(r row) error {
		n, err = r.integer(0)
		return err
	}, args...)
	return n, err
}

// end makes every further use of t an error.
func (t *Tx) end() { t.conn = nil }

// allow checks a write before anything is sealed for it: it returns nil if all conditions are
// true.
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
