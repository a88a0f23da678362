package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
)

// logged adds an entry with one hash to the log.
func (w *world) logged(index int64, entry string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		return tx.AppendLog(index, []byte(entry), w.now, index, []store.LogHash{{byte(index)}})
	})
}

// wantLog checks the log's entries; an empty one was dropped.
func (w *world) wantLog(entries ...string) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		found, err := tx.LogEntries(0, int64(len(entries)))
		if err != nil {
			return err
		}
		for i, e := range entries {
			equal(w.t, fmt.Sprintf("entry %d", i), string(found[i]), e)
		}
		places, err := tx.LogPlaces()
		equal(w.t, "places", places, int64(len(entries)))
		if err != nil {
			return err
		}
		hashes, err := tx.LogHashes(int64(len(entries) - 1))
		equal(w.t, "the last hash", hashes, []store.LogHash{{byte(len(entries) - 1)}})
		return err
	})
}

func TestLog_DropsOldEntriesAndKeepsTheirHashes(t *testing.T) {
	w := newWorld(t)
	w.view(func(tx *store.Tx) error {
		places, err := tx.LogPlaces()
		equal(t, "places of an empty log", places, int64(0))
		return err
	})
	for i, entry := range []string{"a", "b", "c"} {
		w.logged(int64(i), entry)
		w.now = w.now.Add(time.Hour)
	}
	w.reopen()
	w.wantLog("a", "b", "c")
	if err := w.DropLog(t.Context(), start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.wantLog("", "", "c")
	w.view(func(tx *store.Tx) error {
		_, err := tx.LogHashes(0, 3)
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
	wantIs(t, w.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendLog(3, nil, w.now, 3, nil) }), store.ErrInvalid)
}

// The log must outlive messages: an entry does not go with the epoch in which it was written.
func TestLog_OutlivesTheRetentionAndErasure(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	w.logged(0, "a")
	w.update(func(tx *store.Tx) error { return tx.EraseCustomer(c) })
	w.pass(40 * 24 * time.Hour)
	if _, err := w.Sweep(t.Context(), w.now.Add(-30*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.wantLog("a")
}

func TestLog_MovesWithTheSettingsKey(t *testing.T) {
	w := newWorld(t)
	w.logged(0, "a")
	w.logged(1, "b")
	w.close()
	m := moved{sealtest.New(), w.own}
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.close()
	erase(w.own, 1) // nothing needs the former place any more
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.wantLog("a", "b")
}

func TestLog_EntryThatWasExchangedIsNotShown(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.logged(0, "a")
	w.logged(1, "b")
	w.close()
	w.sql(`UPDATE log_entries SET sealed = (SELECT sealed FROM log_entries WHERE place = 1) WHERE place = 0`)
	w.open(store.MustExist())
	w.wantLog("", "b")
}

func TestLog_StoreOfAFormerReleaseGetsOne(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.reopened(func() { w.sql(`DROP TABLE log_entries`, `DROP TABLE log_hashes`, `PRAGMA user_version = 11`) })
	w.logged(0, "a")
	w.wantLog("a")
}
