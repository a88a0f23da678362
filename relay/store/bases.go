package store

import (
	"crypto/sha256"
	"database/sql/driver"
)

// A message that begins a session holds a random public key of the sender, the base key, and
// names our signed pre-key. As long as we have our private keys but no longer the record of
// the session, a replay of the message would begin the session a second time. So base keys are
// remembered, as HMACs under the key of the ciphertexts' hashes, until the signed pre-key is
// gone and nothing opens such a message any more. They are part of the sum of sessions and
// pre-keys, so a missing one is noticed.

// labelBase separates hashes of base keys from those of ciphertexts.
const labelBase = "base key"

// SeenBase remembers the base key of a session that a peer began with the signed pre-key of
// that ID. First says that it was not known. It is forgotten with that pre-key.
func (t *Tx) SeenBase(base [32]byte, signed uint32) (first bool, err error) {
	if err := t.allow(signed != 0); err != nil {
		return false, err
	}
	mac := t.shared.seenMAC
	mac.Reset()
	mac.Write([]byte(labelBase))
	mac.Write(base[:])
	var sum [sha256.Size]byte
	hash := mac.Sum(sum[:0])[:16]
	n, err := t.run(`INSERT INTO bases (hash, signed) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, int64(signed))
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.enters(tableBases, rowOf(int64(signed)), hash)
}

// dropBases forgets what was begun with the signed pre-keys that a WHERE clause names.
func (t *Tx) dropBases(where string, args ...driver.Value) error {
	if err := t.eachBase(where, t.change.subtract, args...); err != nil {
		return err
	}
	_, err := t.run(`DELETE FROM bases `+where, args...)
	return err
}
