package store

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Other customers, too, may have chosen a one-time pre-key that was used, and their messages
// may still arrive. So it is kept, as a key of another kind: it is never published again, and
// it stays sealed in the epoch in which it was first used. So it dies with the hash of the
// message that used it first, and before the hashes of all others.

// UsePreKey notes that a one-time pre-key was used: PreKeys no longer returns it, PreKey still
// does. A later use changes nothing. It returns ErrNotFound when there is no such key.
func (t *Tx) UsePreKey(id uint32, now time.Time) error {
	if err := t.allow(); err != nil {
		return err
	}
	k, err := t.key(kindOneTime, id)
	if errors.Is(err, ErrNotFound) {
		_, err = t.PreKey(id) // it may have been used before
		return err
	}
	if err != nil {
		return err
	}
	defer clear(k.Data)
	if err := t.deleteKey(kindOneTime, id); err != nil {
		return err
	}
	k.Created = now
	return t.putKey(kindUsed, k)
}

// WithdrawPreKeys notes that the bundle published from now on holds these one-time pre-keys:
// used ones that are not among them can no longer be chosen.
func (t *Tx) WithdrawPreKeys(published []uint32, now time.Time) error {
	if err := t.allow(); err != nil {
		return err
	}
	used, err := t.keyRows(`WHERE kind = ? ORDER BY id`, kindUsed)
	if err != nil || len(used) == 0 {
		return err
	}
	still := make(map[int64]bool, len(published))
	for _, id := range published {
		still[int64(id)] = true
	}
	for _, s := range used {
		if still[s.id] {
			continue
		}
		if err := t.withdraw(s, now); err != nil {
			return err
		}
	}
	return nil
}

// withdraw marks a used pre-key as no longer published, in its own epoch.
func (t *Tx) withdraw(s sealedKey, now time.Time) error {
	k, err := t.openKey(s)
	if err = gone(err); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	defer clear(k.Data)
	if err := t.deleteKey(s.kind, uint32(s.id)); err != nil || k.Data == nil {
		return err // its epoch is erased, or it is damaged
	}
	moved := sealedKey{kind: kindWithdrawn, id: s.id, epoch: s.epoch, created: toMillis(now)}
	moved.sealed, err = t.shared.keys.SealIn(s.epoch, purposePreKey, moved.identity(), k.Data)
	if errors.Is(err, seal.ErrErased) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.insertKey(moved)
}

// DropWithdrawn removes the used pre-keys that have not been published since the given time.
func (t *Tx) DropWithdrawn(before time.Time) error {
	return t.dropKeys(`WHERE kind = ? AND created <= ?`, kindWithdrawn, toMillis(before))
}

// BoundUsed removes used pre-keys until at most so many are left: first those that were
// withdrawn first.
func (t *Tx) BoundUsed(most int) error {
	n, err := t.integer(`SELECT count(*) FROM prekeys WHERE kind >= ?`, kindUsed)
	if err != nil || n <= int64(most) {
		return err
	}
	rows, err := t.keyRows(`WHERE kind >= ? ORDER BY kind DESC, created, id`, kindUsed)
	if err != nil {
		return err
	}
	for _, s := range rows[:len(rows)-most] {
		if err := t.deleteKey(s.kind, uint32(s.id)); err != nil {
			return err
		}
	}
	return nil
}

// HasPreKey says whether there is a one-time pre-key of that ID, used or not, even if it cannot
// be opened.
func (t *Tx) HasPreKey(id uint32) (bool, error) {
	n, err := t.integer(`SELECT count(*) FROM prekeys WHERE kind IN (?, ?, ?) AND id = ?`,
		kindOneTime, kindUsed, kindWithdrawn, int64(id))
	return n > 0, err
}
