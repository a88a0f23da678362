package store_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/store"
)

// keys makes one-time pre-keys of the given ids, and a signed one.
func (w *world) oneTimeKeys(ids ...uint32) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.PutPreKey(store.Key{ID: id, Data: []byte("private half"), Created: w.now}); err != nil {
				return err
			}
		}
		return tx.PutSignedPreKey(store.Key{ID: 1, Data: []byte("signed"), Created: w.now})
	})
}

func (w *world) use(id uint32) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error { return tx.UsePreKey(id, w.now) })
}

// wantKey wants a one-time pre-key to be there, or not, for a message that names it.
func (w *world) wantKey(id uint32, there bool) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		k, err := tx.PreKey(id)
		if !there {
			wantIs(w.t, err, store.ErrNotFound)
			return nil
		}
		equal(w.t, "private half", string(k.Data), "private half")
		return err
	})
}

func TestUsedPreKey_IsKeptAndNotPublishedAgain(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1, 2)
	w.use(1)
	w.use(1) // by another who chose it
	w.reopen()
	w.wantKey(1, true)
	w.view(func(tx *store.Tx) error {
		keys, err := tx.PreKeys()
		equal(t, "published keys", len(keys), 1)
		n, errCount := tx.PreKeyCount()
		equal(t, "count", n, 1)
		has, errHas := tx.HasPreKey(1)
		equal(t, "its id is taken", has, true)
		return firstError(err, errCount, errHas)
	})
	err := w.Update(t.Context(), func(tx *store.Tx) error { return tx.UsePreKey(3, w.now) })
	wantIs(t, err, store.ErrNotFound)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestUsedPreKey_DiesWithTheEpochOfItsFirstUse(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1, 2, 3)
	w.use(1)
	w.pass(day)
	w.use(1) // once more, which does not lengthen its time
	w.use(2)
	// Neither does what is written when the bundle without it is published.
	w.update(func(tx *store.Tx) error { return tx.WithdrawPreKeys([]uint32{3}, w.now) })
	w.pass(day)
	for id := range uint32(3) {
		w.wantKey(id+1, true)
	}
	erase(w.vw, 1)
	w.reopen()
	w.wantKey(1, false)
	w.wantKey(2, true)
	w.wantKey(3, true)
	if w.Restored() {
		t.Error("the store counts as restored")
	}
	erase(w.vw, 2)
	w.reopen()
	w.wantKey(2, false)
	w.wantKey(3, true) // was not used: it moves on
}

func TestSweep_LeavesNoUsedKeyOfAnEpochWithoutItsHashes(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1, 2)
	w.use(1)
	w.update(func(tx *store.Tx) error { _, err := tx.SeenCiphertext([32]byte{1}); return err })
	w.pass(day)
	if _, err := w.Sweep(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	w.reopen() // Vault has the epoch's key still
	w.wantKey(1, false)
	w.wantKey(2, true)
	if w.Restored() {
		t.Error("the store counts as restored")
	}
}

func TestUsedPreKeysGoWhenTheyAreWithdrawnForLongAndWhenThereAreTooMany(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1, 2, 3, 4)
	for _, id := range []uint32{1, 2, 3} {
		w.use(id)
	}
	w.update(func(tx *store.Tx) error { return tx.WithdrawPreKeys([]uint32{2, 3, 4}, w.now) })
	w.update(func(tx *store.Tx) error { return tx.WithdrawPreKeys([]uint32{3, 4}, w.now.Add(day)) })
	w.update(func(tx *store.Tx) error { return tx.DropWithdrawn(w.now) })
	w.wantKey(1, false)
	w.wantKey(2, true)
	w.wantKey(3, true)
	w.update(func(tx *store.Tx) error { return tx.BoundUsed(2) })
	w.wantKey(2, true)
	w.update(func(tx *store.Tx) error { return tx.BoundUsed(1) })
	w.wantKey(2, false)
	w.wantKey(3, true) // may be published yet
	w.wantKey(4, true)
	if w.reopen(); w.Restored() {
		t.Error("the store counts as restored")
	}
}

func TestBaseKey_IsKnownAsLongAsItsSignedPreKey(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1)
	w.update(func(tx *store.Tx) error {
		return tx.PutSignedPreKey(store.Key{ID: 2, Data: []byte("signed"), Created: w.now})
	})
	seen := func(base byte, signed uint32) (first bool) {
		t.Helper()
		w.update(func(tx *store.Tx) (err error) {
			first, err = tx.SeenBase([32]byte{base}, signed)
			return err
		})
		return first
	}
	equal(t, "a new one", seen(1, 1), true)
	equal(t, "another", seen(2, 2), true)
	w.pass(day)
	erase(w.vw, 1) // the signed pre-keys moved on
	w.reopen()
	equal(t, "after an epoch", seen(1, 1), false)
	w.update(func(tx *store.Tx) error { return tx.DeleteSignedPreKey(1) })
	equal(t, "base keys of the other", w.count("bases"), 1)
	equal(t, "the other's", seen(2, 2), false)
	if w.reopen(); w.Restored() {
		t.Error("the store counts as restored")
	}
	if err := w.DropRatchets(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	equal(t, "base keys without pre-keys", w.count("bases"), 0)
}

func TestBaseKey_RemovedIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1)
	w.update(func(tx *store.Tx) error { _, err := tx.SeenBase([32]byte{1}, 1); return err })
	if w.reopened(func() { w.sql(`DELETE FROM bases`) }); !w.Tampered() {
		t.Error("it is not seen")
	}
}

func TestUsedPreKey_MadeUnusedIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.oneTimeKeys(1)
	w.use(1)
	w.reopened(func() { w.sql(`UPDATE prekeys SET kind = 2 WHERE kind = 3`) })
	w.view(func(tx *store.Tx) error {
		keys, err := tx.PreKeys()
		equal(t, "keys to publish", len(keys), 0)
		return err
	})
	if !w.Tampered() {
		t.Error("it is not seen")
	}
}

func TestStore_FromBeforeBaseKeysKeepsItsPreKeys(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.oneTimeKeys(1)
	w.reopened(func() {
		w.sql(append(beforeUsers, `DROP TABLE bases`, `DROP INDEX media_customer`, `ALTER TABLE media DROP COLUMN customer`, `PRAGMA user_version = 5`)...)
	})
	if w.Restored() {
		t.Error("the store counts as restored")
	}
	w.wantKey(1, true)
	w.use(1)
	w.wantKey(1, true)
	w.update(func(tx *store.Tx) error { _, err := tx.SeenBase([32]byte{1}, 1); return err })
}
