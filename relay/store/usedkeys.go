package store

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// A one-time pre-key that was used may have been chosen by others, too, whose messages
// are under way. It goes on to be kept, as a key of another kind: it is never published
// again, and it is sealed in the epoch in which it was first used and moved into no
// other. So it dies with the hash of the message that used it first, and before those
// of all others.

// UsePreKey notes that a one-time pre-key was used: PreKeys does not return it any more,
// PreKey does. A later use changes nothing. ErrNotFound when there is no such key.
func (t *Tx) UsePreKey(id uint32, now time.Time) error {
	if err := t.allow(); err != nil {
		return err
	}
	k, err := t.key(kindOneTime, id)
	if errors.Is(err, ErrNotFound) {
		_, err = t.PreKey(id) // one that was used before
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

// WithdrawPreKeys notes that the bundle which is published since now holds these
// one-time pre-keys: those that were used and are not among them cannot be chosen any
// more.
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

// withdraw makes a used pre-key one that is not published any more, in its own epoch.
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

// DropWithdrawn removes the used pre-keys that are not published since the given time or
// longer.
func (t *Tx) DropWithdrawn(before time.Time) error {
	return t.dropKeys(`WHERE kind = ? AND created <= ?`, kindWithdrawn, toMillis(before))
}

// BoundUsed removes used pre-keys until there are at most as many as given: first those
// that are not published for longest.
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

// HasPreKey says whether there is a one-time pre-key of that ID, used or not, and also
// one that cannot be opened.
func (t *Tx) HasPreKey(id uint32) (bool, error) {
	n, err := t.integer(`SELECT count(*) FROM prekeys WHERE kind IN (?, ?, ?) AND id = ?`,
		kindOneTime, kindUsed, kindWithdrawn, int64(id))
	return n > 0, err
}
