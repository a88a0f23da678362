package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// What a row is bound to shows that it was changed or moved, not that an older state
// of it was put back, or that it is missing. For sessions and pre-keys that would have
// a key used twice. So the store keeps a keyed hash of the set of these rows: the sum,
// modulo 2^256, of an HMAC of each (Clarke et al., "Incremental Multiset Hash
// Functions and Their Application to Memory Integrity Checking", 2003, MSet-Add-Hash).
// It is changed in the transaction that changes the rows, and sealed, for differences
// of two sums would say what a row adds. Open compares it; when it is wrong the store
// counts as restored. Whoever puts everything back at once, the sum included, is noticed
// as a restored store is, or not at all.

const purposeIntegrity = "integrity"

// sum is a number modulo 2^256, the lowest word first.
type sum [4]uint64

func (s *sum) add(h sum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], h[i], carry)
	}
}

func (s *sum) subtract(h sum) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], h[i], borrow)
	}
}

func (s sum) bytes() []byte {
	b := make([]byte, 0, 32)
	for _, word := range s {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

func sumOf(b []byte) (s sum) {
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s
}

// rowSum is what one row adds.
func (t *Tx) rowSum(table string, identity, sealed []byte) (sum, error) {
	w := &writer{}
	mac, err := t.store.settings.Lookup(t.store.sumKey, purposeIntegrity, w.text(table).bytes(identity).bytes(sealed).b)
	return sumOf(mac[:]), err
}

// enters notes that a row is in its table now, leaves that it is not any more.
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

// identity is what a session's row says of itself in clear.
func (c *child) identity() []byte {
	w := &writer{b: rowOf(c.id, int64(c.customer), c.epoch)}
	return w.bytes(c.lookup).b
}

// kept is what a pre-key's row says of itself in clear.
func (s *sealedKey) kept() []byte { return rowOf(s.kind, s.id, s.epoch, s.created) }

const (
	tableSessions = "sessions"
	tablePreKeys  = "prekeys"

	sessionColumns = `SELECT id, customer, epoch, lookup, sealed FROM sessions `
	preKeyColumns  = `SELECT kind, id, epoch, created, sealed FROM prekeys `
)

// eachSession calls fn for the sessions that a WHERE clause names, eachPreKey for
// pre-keys; both with what they add to the sum.
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

// checkSum compares the rows with the sum that was recorded. When they do not go
// together the store counts as restored.
func (s *Store) checkSum(ctx context.Context) error {
	live := s.settings.Live()
	s.sumKey = live[len(live)-1].ID
	var found, recorded sum
	whole := false
	err := s.View(ctx, func(t *Tx) (err error) {
		if err := errors.Join(t.eachSession("", found.add), t.eachPreKey("", found.add), t.eachBase("", found.add)); err != nil {
			return err
		}
		recorded, whole, err = t.recordedSum()
		return err
	})
	if err != nil && !errors.Is(err, seal.ErrTampered) {
		return fmt.Errorf("comparing rows with their sum: %w", err)
	}
	if err != nil || found != recorded || !whole && found != (sum{}) {
		s.tampered.Store(true)
		s.restored.Store(true)
	}
	s.total = found
	return nil
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
	plain, err := t.store.settings.Open(t.store.sumKey, purposeIntegrity, nil, value)
	if err == nil && len(plain) != 32 {
		err = seal.ErrTampered
	}
	if err != nil {
		return sum{}, false, seal.ErrTampered
	}
	return sumOf(plain), true, nil
}

// recordSum writes the sum as it will be once the running transaction commits.
func (s *Store) recordSum() error { return s.writeSum(s.total) }

func (s *Store) writeSum(total sum) error {
	value, err := s.settings.SealIn(s.sumKey, purposeIntegrity, nil, total.bytes())
	if err != nil {
		return err
	}
	_, err = s.writer.run(`INSERT INTO meta (key, value) VALUES ('sum', ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, value)
	return err
}

// Tampered says that sessions or pre-keys were put back, exchanged or taken away while
// the store was closed. It is then Restored, too.
func (s *Store) Tampered() bool { return s.tampered.Load() }
