package store

import (
	"database/sql/driver"
	"errors"
	"time"
)

const purposePreKey = "prekey"

// The kinds of pre-keys, as stored.
const (
	kindSigned    int64 = 1
	kindOneTime   int64 = 2
	kindUsed      int64 = 3 // a one-time pre-key since its first use, which is when it was created
	kindWithdrawn int64 = 4 // a used one that is no longer published, since it was created
)

// SignedPreKey returns a signed pre-key, or ErrNotFound.
func (t *Tx) SignedPreKey(id uint32) (Key, error) { return t.key(kindSigned, id) }

// SignedPreKeys returns all signed pre-keys in the order of their IDs.
func (t *Tx) SignedPreKeys() ([]Key, error) { return t.allKeys(kindSigned) }

// SignedPreKeyCreated says when the newest signed pre-key was made, without opening it; the zero time when there is none.
func (t *Tx) SignedPreKeyCreated() (time.Time, error) {
	created, err := t.integer(`SELECT coalesce(max(created), 0) FROM prekeys WHERE kind = ?`, kindSigned)
	return fromMillis(created), err
}

// PutSignedPreKey writes a signed pre-key.
func (t *Tx) PutSignedPreKey(k Key) error { return t.putKey(kindSigned, k) }

// DeleteSignedPreKey removes a signed pre-key, if there is one.
func (t *Tx) DeleteSignedPreKey(id uint32) error { return t.deleteKey(kindSigned, id) }

// PreKey returns a one-time pre-key, even a used one that is kept, or ErrNotFound.
func (t *Tx) PreKey(id uint32) (k Key, err error) {
	for _, kind := range []int64{kindOneTime, kindUsed, kindWithdrawn} {
		if k, err = t.key(kind, id); !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return k, err
}

// PreKeys returns all one-time pre-keys that were not used, in the order of their IDs.
func (t *Tx) PreKeys() ([]Key, error) { return t.allKeys(kindOneTime) }

// PutPreKey writes a one-time pre-key.
func (t *Tx) PutPreKey(k Key) error { return t.putKey(kindOneTime, k) }

// DeletePreKey removes a one-time pre-key that was not used, if there is one.
func (t *Tx) DeletePreKey(id uint32) error { return t.deleteKey(kindOneTime, id) }

// PreKeyCount counts the one-time pre-keys that were not used.
func (t *Tx) PreKeyCount() (int, error) {
	n, err := t.integer(`SELECT count(*) FROM prekeys WHERE kind = ?`, kindOneTime)
	return int(n), err
}

func (t *Tx) key(kind int64, id uint32) (Key, error) {
	var s sealedKey
	found, err := t.first(`SELECT kind, id, epoch, created, sealed FROM prekeys WHERE kind = ? AND id = ?`,
		s.scan, kind, int64(id))
	if err != nil {
		return Key{}, err
	}
	if !found {
		return Key{}, ErrNotFound
	}
	return t.openKey(s)
}

func (t *Tx) openKey(s sealedKey) (Key, error) {
	data, err := t.open(s.epoch, purposePreKey, s.identity(), s.sealed)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: uint32(s.id), Data: data, Created: fromMillis(s.created)}, nil
}

func (t *Tx) allKeys(kind int64) ([]Key, error) {
	rows, err := t.keyRows(`WHERE kind = ? ORDER BY id`, kind)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(rows))
	for _, s := range rows {
		k, err := t.openKey(s)
		if errors.Is(gone(err), ErrNotFound) { // its key died, or it is damaged
			continue
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (t *Tx) keyRows(where string, args ...driver.Value) (rows []sealedKey, err error) {
	err = t.rows(`SELECT kind, id, epoch, created, sealed FROM prekeys `+where, func(r row) error {
		var s sealedKey
		if err := s.scan(r); err != nil {
			return err
		}
		rows = append(rows, s)
		return nil
	}, args...)
	return rows, err
}

func (t *Tx) putKey(kind int64, k Key) error {
	if err := t.allow(k.ID != 0, len(k.Data) > 0, len(k.Data) <= MaxBody); err != nil {
		return err
	}
	s := sealedKey{kind: kind, id: int64(k.ID), created: toMillis(k.Created)}
	var err error
	if s.epoch, s.sealed, err = t.shared.keys.Seal(purposePreKey, s.identity(), k.Data); err != nil {
		return err
	}
	return t.insertKey(s)
}

// insertKey writes a row, and replaces one of its kind and ID if there is one.
func (t *Tx) insertKey(s sealedKey) error {
	if err := t.eachPreKey(`WHERE kind = ? AND id = ?`, t.change.subtract, s.kind, s.id); err != nil {
		return err
	}
	if err := t.enters(tablePreKeys, s.kept(), s.sealed); err != nil {
		return err
	}
	_, err := t.run(`INSERT INTO prekeys (kind, id, epoch, created, sealed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (kind, id) DO UPDATE SET epoch = excluded.epoch, created = excluded.created, sealed = excluded.sealed`,
		s.kind, s.id, s.epoch, s.created, s.sealed)
	return err
}

func (t *Tx) deleteKey(kind int64, id uint32) error {
	if err := t.allow(); err != nil {
		return err
	}
	if kind == kindSigned {
		if err := t.dropBases(`WHERE signed = ?`, int64(id)); err != nil {
			return err
		}
	}
	return t.dropKeys(`WHERE kind = ? AND id = ?`, kind, int64(id))
}

func (t *Tx) dropKeys(where string, args ...driver.Value) error {
	if err := t.allow(); err != nil {
		return err
	}
	if err := t.eachPreKey(where, t.change.subtract, args...); err != nil {
		return err
	}
	_, err := t.run(`DELETE FROM prekeys `+where, args...)
	return err
}

// renewKeys moves unused pre-keys of older epochs into the current one. It drops those that no
// key opens any more or that are damaged: they will be replaced and must not be counted.
func (t *Tx) renewKeys(current int64) error {
	rows, err := t.keyRows(`WHERE epoch < ? AND kind < ?`, current, kindUsed)
	if err != nil {
		return err
	}
	for _, s := range rows {
		k, err := t.openKey(s)
		if errors.Is(gone(err), ErrNotFound) {
			err = t.deleteKey(s.kind, uint32(s.id))
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if err := t.putKey(s.kind, k); err != nil {
			return err
		}
	}
	return nil
}
