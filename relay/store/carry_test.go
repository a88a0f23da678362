package store_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// departing is a store in a directory with something in every kind of row, as it is taken elsewhere.
func departing(t *testing.T) (*world, *store.Departing) {
	t.Helper()
	w := newPlace(t)
	w.dir, w.server = t.TempDir(), nil // directories only
	w.open(store.OnVolume("first"))
	w.everything()
	w.close()
	d, err := store.Depart(w.dir, w.id)
	check(t, err)
	return w, d
}

// image reads what is taken along.
func image(t *testing.T, d *store.Departing) []byte {
	t.Helper()
	r, err := d.Open(t.Context())
	check(t, err)
	raw, err := io.ReadAll(r)
	check(t, errors.Join(err, r.Close()))
	if int64(len(raw)) != d.Size() {
		t.Errorf("the store has %d bytes and says %d", len(raw), d.Size())
	}
	return raw
}

// wrapped are data keys by their numbers, as they are.
func wrapped(epochs []seal.Epoch) map[int64]string {
	all := map[int64]string{}
	for _, e := range epochs {
		all[e.ID] = e.Wrapped
	}
	return all
}

// arriving takes the store in as it is.
func arriving(w *world, d *store.Departing) store.Arriving {
	return store.Arriving{StoreID: w.id, Size: d.Size(), Wrap: func() (epochs, settings map[int64]string, err error) {
		return wrapped(d.Epochs), wrapped(d.Settings), nil
	}}
}

func TestCarry_KeepsEveryRowOnAnotherVolume(t *testing.T) {
	w, d := departing(t)
	if _, err := w.tryOpen(); !errors.Is(err, store.ErrLocked) {
		t.Errorf("the store can be opened while it is taken along: %v", err)
	}
	raw := image(t, d)
	again := image(t, d)
	if !bytes.Equal(raw, again) || len(d.Epochs) == 0 || len(d.Settings) == 0 {
		t.Errorf("the store is not the same when it is read again, or names no keys: %d and %d", len(d.Epochs), len(d.Settings))
	}
	check(t, d.Close())

	old := w.dir
	w.dir = t.TempDir()
	check(t, arriving(w, d).Place(w.dir, iotest.OneByteReader(bytes.NewReader(raw))))
	w.open(store.MustExist(), store.OnVolume("second"))
	w.hasAll()
	w.close()
	// From there on it belongs there: a copy of it counts as one.
	w.open(store.MustExist(), store.OnVolume("third"))
	if !w.Restored() {
		t.Error("put onto a third volume, it does not count as restored")
	}
	w.close()
	w.dir = old // it did not change, and can be gone back to
	w.open(store.MustExist(), store.OnVolume("first"))
	if w.Restored() {
		t.Error("the store that was left counts as restored")
	}
}

func TestCarry_RestoredStoreStaysOneAndDestroyedKeysStayDestroyed(t *testing.T) {
	w, d := departing(t)
	raw := image(t, d)
	check(t, d.Close())
	a := arriving(w, d)
	a.Restored = true
	a.Wrap = func() (epochs, settings map[int64]string, err error) {
		epochs = wrapped(d.Epochs)
		for id := range epochs {
			epochs[id] = "destroyed"
		}
		return epochs, wrapped(d.Settings), nil
	}
	w.dir = t.TempDir()
	check(t, a.Place(w.dir, bytes.NewReader(raw)))
	w.open(store.MustExist())
	if !w.Restored() {
		t.Error("a restored store does not count as one where it arrives")
	}
	w.view(func(tx *store.Tx) error {
		c, err := tx.Customer(number(t, "+4930111111"))
		if err != nil {
			return nil //nolint:nilerr // the customer's row may be unreadable as well
		}
		if _, err := tx.Record(c.ID, 7); err == nil {
			t.Error("a row can be read whose key was destroyed")
		}
		return nil
	})
}

func TestCarry_WhatIsNotWholeLeavesNothing(t *testing.T) {
	w, d := departing(t)
	raw := image(t, d)
	check(t, d.Close())
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		from   io.Reader
		change func(*store.Arriving)
		want   error
	}{
		"cut off":             {from: bytes.NewReader(raw[:len(raw)-1])},
		"too long":            {from: bytes.NewReader(append(bytes.Clone(raw), 0))},
		"an error at its end": {from: io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(broken)), want: broken},
		"another store's":     {from: bytes.NewReader(raw), change: func(a *store.Arriving) { a.StoreID[0]++ }, want: store.ErrForeignStore},
		"no store":            {from: bytes.NewReader(make([]byte, len(raw)))},
		"keys that fail": {from: bytes.NewReader(raw), change: func(a *store.Arriving) {
			a.Wrap = func() (e, s map[int64]string, err error) { return nil, nil, broken }
		}, want: broken},
		"a key that it has not": {from: bytes.NewReader(raw), change: func(a *store.Arriving) {
			a.Wrap = func() (e, s map[int64]string, err error) { return map[int64]string{99: "x"}, nil, nil }
		}, want: store.ErrDamaged},
		"a directory that locks": {from: bytes.NewReader(raw), want: store.ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			dir, a := t.TempDir(), arriving(w, d)
			if c.change != nil {
				c.change(&a)
			}
			if errors.Is(c.want, store.ErrLocked) {
				other := newPlace(t)
				other.dir, other.server = dir, nil
				other.open()
			}
			err := a.Place(dir, c.from)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("placing it: %v, want %v", err, c.want)
			}
			if errors.Is(c.want, store.ErrLocked) {
				return
			}
			if owner, err := store.OwnerOf(dir); owner != nil || err != nil {
				t.Errorf("there is a store: %v, %v", owner, err)
			}
			left, err := filepath.Glob(filepath.Join(dir, "*.db*"))
			check(t, err)
			if len(left) > 0 {
				t.Errorf("left are %v", left)
			}
			check(t, arriving(w, d).Place(dir, bytes.NewReader(raw)))
			if err := arriving(w, d).Place(dir, bytes.NewReader(raw)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("placing it over a store: %v", err)
			}
		})
	}
	if _, err := store.Depart(w.dir, [16]byte{9}); !errors.Is(err, store.ErrForeignStore) {
		t.Errorf("taking along another's store: %v", err)
	}
	if _, err := store.Depart(t.TempDir(), w.id); !errors.Is(err, store.ErrStoreMissing) {
		t.Errorf("taking along no store: %v", err)
	}
	if info, err := os.Stat(filepath.Join(w.dir, "relay.db")); err != nil || info.Size() != int64(len(raw)) {
		t.Errorf("the store that was left changed: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
