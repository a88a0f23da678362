package store

import (
	"database/sql/driver"

	"github.com/relaykeep/relaykeep/relay/seal"
)

const purposeIntegrity = "integrity"

// rowSum is what one row adds.
func (t *Tx) rowSum(table string, identity, sealed []byte) (sum, error) {
	w := &writer{}
	mac, err := t.shared.settings.Lookup(t.shared.sumKey, purposeIntegrity, w.text(table).bytes(identity).bytes(sealed).b)
	return sumOf(mac[:]), err
}

// enters notes that a row is in its table now; leaves, that it no longer is.
func (t *Tx) enters(table string, identity, sealed []byte) error {
	h, err := t.rowSum(table, identity, sealed)
	t.change.add(h)
	return err
}

func (t *Tx) leaves(table string, identity, sealed []byte) error {
	h, err := t.rowSum(table, identity, sealed)
	t.change.subtract(h)
	return err
}

const (
	tableSessions = "sessions"
	tablePreKeys  = "prekeys"
	tableBases    = "bases"

	sessionColumns = `SELECT id, customer, epoch, lookup, sealed FROM sessions `
	preKeyColumns  = `SELECT kind, id, epoch, created, sealed FROM prekeys `
)

// eachSession calls fn for the sessions that a WHERE clause names, and eachPreKey for
// pre-keys, both with what they add to the sum.
func (t *Tx) eachSession(where string, fn func(sum), args ...driver.Value) error {
	return t.eachRow(sessionColumns+where, func(r row) (sum, error) {
		var c child
		if err := c.scan(r); err != nil {
			return sum{}, err
		}
		return t.rowSum(tableSessions, c.identity(), c.sealed)
	}, fn, args)
}

func (t *Tx) eachPreKey(where string, fn func(sum), args ...driver.Value) error {
	return t.eachRow(preKeyColumns+where, func(r row) (sum, error) {
		var s sealedKey
		if err := s.scan(r); err != nil {
			return sum{}, err
		}
		return t.rowSum(tablePreKeys, s.kept(), s.sealed)
	}, fn, args)
}

func (t *Tx) eachRow(query string, hash func(row) (sum, error), fn func(sum), args []driver.Value) error {
	return t.rows(query, func(r row) error {
		h, err := hash(r)
		if err == nil {
			fn(h)
		}
		return err
	}, args...)
}

// recordedSum reads the sum; whole is false when there is none.
func (t *Tx) recordedSum() (recorded sum, whole bool, err error) {
	var value []byte
	whole, err = t.first(`SELECT value FROM meta WHERE key = 'sum'`, func(r row) (err error) {
		value, err = r.bytes(0)
		return err
	})
	if err != nil || !whole {
		return sum{}, false, err
	}
	plain, err := t.shared.settings.Open(t.shared.sumKey, purposeIntegrity, nil, value)
	if err == nil && len(plain) != 32 {
		err = seal.ErrTampered
	}
	if err != nil {
		return sum{}, false, seal.ErrTampered
	}
	return sumOf(plain), true, nil
}

// writeSum records the sum.
func (t *Tx) writeSum(total sum) error {
	value, err := t.shared.settings.SealIn(t.shared.sumKey, purposeIntegrity, nil, total.bytes())
	if err != nil {
		return err
	}
	err = t.write(`INSERT INTO meta (key, value) VALUES ('sum', ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, value)
	return err
}

// eachBase calls fn for the base keys that a WHERE clause names, with what they add to the
// sum.
func (t *Tx) eachBase(where string, fn func(sum), args ...driver.Value) error {
	return t.eachRow(`SELECT signed, hash FROM bases `+where, func(r row) (sum, error) {
		var signed int64
		r.numbers(&signed) // a damaged row must not prevent the removal of its signed pre-key
		return t.rowSum(tableBases, rowOf(signed), r.octets(1))
	}, fn, args)
}
