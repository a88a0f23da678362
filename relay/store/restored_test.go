package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// reopened closes the store, does something to its directory, and opens it again.
func (w *world) reopened(do func(), opts ...store.Option) *world {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatal(err)
	}
	do()
	w.open(opts...)
	return w
}

func TestStoreThatOnlyRestartedIsNotRestored(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		if w.reopened(func() {}).Restored() {
			t.Error("a store that stayed where it was counts as restored")
		}
	}
}

func TestCopiedMarkedOrMovedStoreIsRestoredUntilItsRatchetsAreDropped(t *testing.T) {
	ofFiles(t)
	cases := map[string]struct {
		do   func(*world)
		opts []store.Option
	}{
		"copied": {do: func(w *world) {
			to := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(to, os.DirFS(w.dir)); err != nil {
				t.Fatal(err)
			}
			w.dir = to
		}},
		"marked": {do: func(w *world) {
			if err := os.WriteFile(filepath.Join(w.dir, store.RestoredMarker), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"on another volume": {do: func(*world) {}, opts: []store.Option{store.OnVolume("second")}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			w.reopened(func() {}, store.OnVolume("first"))
			c := w.customer("+4930111111")
			w.update(func(tx *store.Tx) error {
				return errors.Join(tx.PutRecord(c, 7, []byte("ratchet")),
					tx.PutPreKey(store.Key{ID: 1, Data: []byte("k"), Created: w.now}),
					tx.PutSignedPreKey(store.Key{ID: 1, Data: []byte("s"), Created: w.now}))
			})
			w.reopened(func() { tc.do(w) }, tc.opts...)
			if !w.Restored() {
				t.Fatal("it does not count as restored")
			}
			refused := errors.New("refused")
			if err := w.DropRatchets(t.Context(), func(*store.Tx) error { return refused }); !errors.Is(err, refused) {
				t.Fatalf("error is %v", err)
			}
			if w.reopened(func() {}, tc.opts...); !w.Restored() {
				t.Error("what failed counts as done")
			}
			if err := w.DropRatchets(t.Context(), func(*store.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			w.noRatchets(c)
			if w.Restored() || w.reopened(func() {}, tc.opts...).Restored() {
				t.Error("it is restored still")
			}
		})
	}
}

func (w *world) noRatchets(c store.CustomerID) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		record, err := tx.Record(c, 7)
		n, countErr := tx.PreKeyCount()
		signed, signedErr := tx.SignedPreKeys()
		if record != nil || n != 0 || len(signed) != 0 {
			w.t.Errorf("%d bytes of a record, %d and %d pre-keys are left", len(record), n, len(signed))
		}
		return errors.Join(err, countErr, signedErr)
	})
}

func TestOwnerIsKnownWithoutAKey(t *testing.T) {
	ofFiles(t)
	empty := t.TempDir()
	if owner, err := store.OwnerOf(empty); owner != nil || err != nil {
		t.Errorf("of an empty directory: %v, %v", owner, err)
	}
	if entries, _ := os.ReadDir(empty); len(entries) != 0 {
		t.Errorf("looking made %v", entries)
	}
	fresh := t.TempDir()
	if err := store.Create(t.Context(), fresh, [16]byte{9}); err != nil {
		t.Fatal(err)
	}
	if owner, err := store.OwnerOf(fresh); err != nil || owner.StoreID != [16]byte{9} || owner.Used {
		t.Errorf("of a store that was only made: %+v, %v", owner, err)
	}
	w := newWorld(t)
	if owner, err := store.OwnerOf(w.dir); err != nil || owner.StoreID != w.id || !owner.Used {
		t.Errorf("of a store in use: %+v, %v", owner, err)
	}
	if err := os.WriteFile(filepath.Join(empty, "relay.db"), []byte("no database, but long enough to be taken for one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OwnerOf(empty); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("of no database: %v", err)
	}
}

func TestSettingsOutliveEveryEpochAndDieWithTheirOwnKey(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error { return tx.PutSetting("kept", []byte("by the business")) })
	erase(w.vw, 1)
	w.reopened(func() {})
	w.view(func(tx *store.Tx) error {
		if got, err := tx.Setting("kept"); err != nil || string(got) != "by the business" {
			t.Errorf("after every epoch was erased: %q, %v", got, err)
		}
		return nil
	})
	erase(w.own, 1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryOpen(); !errors.Is(err, seal.ErrErased) {
		t.Errorf("without the settings' key: %v", err)
	}
}
