package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/relaykeep/relaykeep/relay/store"
)

// lent is an empty database.
func lent(t *testing.T) store.Server {
	t.Helper()
	d := onServer.LendDatabaseT(t)
	return store.Server{
		Address: d.Address, Database: d.Name, CA: d.CA,
		Login: func(context.Context) (string, string, error) { return d.Name, d.Password, nil },
	}
}

// leaving is a store in a database, which was moved there from a directory, as it is taken elsewhere.
func leaving(t *testing.T) (*world, store.Server, *store.Departing) {
	t.Helper()
	w, from := movable(t)
	w.close()
	w.moved(from)
	w.close()
	d, err := store.DepartFrom(t.Context(), from, w.id)
	check(t, err)
	return w, from, d
}

func TestCarry_KeepsEveryRowInAnotherDatabase(t *testing.T) {
	w, from, d := leaving(t)
	if _, err := w.tryOpen(store.MustExist(), store.OnServer(from)); !errors.Is(err, store.ErrLocked) {
		t.Errorf("the store can be opened while it is taken along: %v", err)
	}
	raw := image(t, d)
	if again := image(t, d); !bytes.Equal(raw, again) || len(d.Epochs) == 0 || len(d.Settings) == 0 {
		t.Errorf("the store is not the same when it is read again, or names no keys: %d and %d", len(d.Epochs), len(d.Settings))
	}
	check(t, d.Close())
	to := lent(t)
	check(t, arriving(w, d).PlaceIn(t.Context(), to, iotest.OneByteReader(bytes.NewReader(raw))))
	w.openAt(to)
	w.hasAll()
	w.more()
	w.close()
	w.openAt(to)
	if w.Restored() {
		t.Error("the store counts as restored where it came to")
	}
	w.close()
	w.openAt(from) // it did not change, and can be gone back to
	w.hasAll()
	w.close()
	if err := arriving(w, d).PlaceIn(t.Context(), to, bytes.NewReader(raw)); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("taking it in twice: %v", err)
	}
	w.openAt(to)
	w.hasAll()
}

func TestCarry_ARestoredStoreStaysOneInAnotherDatabase(t *testing.T) {
	w, _, d := leaving(t)
	raw := image(t, d)
	check(t, d.Close())
	a, to := arriving(w, d), lent(t)
	a.Restored = true
	check(t, a.PlaceIn(t.Context(), to, bytes.NewReader(raw)))
	w.openAt(to)
	if !w.Restored() {
		t.Error("a restored store does not count as one where it arrives")
	}
}

func TestCarry_WhatIsNotWholeLeavesTheDatabaseEmpty(t *testing.T) {
	w, _, d := leaving(t)
	raw := image(t, d)
	check(t, d.Close())
	to, broken := lent(t), errors.New("it broke")
	noKeys := arriving(w, d)
	noKeys.Wrap = func() (epochs, settings map[int64]string, err error) { return nil, nil, broken }
	foreign := arriving(w, d)
	foreign.StoreID = [16]byte{9}
	for name, c := range map[string]struct {
		a    store.Arriving
		from io.Reader
		want error
	}{
		"cut off":            {arriving(w, d), bytes.NewReader(raw[:len(raw)-1]), store.ErrDamaged},
		"without its rows":   {arriving(w, d), bytes.NewReader(raw[:100]), store.ErrDamaged},
		"too long":           {arriving(w, d), bytes.NewReader(append(bytes.Clone(raw), 0)), store.ErrDamaged},
		"of another kind":    {arriving(w, d), bytes.NewReader([]byte("SQLite format 3\x00 and so on, for longer than a line")), store.ErrDamaged},
		"a way that breaks":  {arriving(w, d), io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), iotest.ErrReader(broken)), broken},
		"an end that breaks": {arriving(w, d), io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(broken)), broken},
		"keys":               {noKeys, bytes.NewReader(raw), broken},
		"of another, cut":    {foreign, bytes.NewReader(raw[:len(raw)/2]), store.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.a.PlaceIn(t.Context(), to, c.from); !errors.Is(err, c.want) {
				t.Fatalf("taking it in: %v, want %v", err, c.want)
			}
			if owner, err := store.OwnerOn(t.Context(), to); owner != nil || err != nil {
				t.Errorf("there is a store: %v, %v", owner, err)
			}
		})
	}
	check(t, arriving(w, d).PlaceIn(t.Context(), to, bytes.NewReader(raw)))
	w.openAt(to)
	w.hasAll()
	if _, err := store.DepartFrom(t.Context(), to, [16]byte{9}); !errors.Is(err, store.ErrForeignStore) {
		t.Errorf("taking along another's store: %v", err)
	}
}
