package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ratchets writes two customers with a session each, and pre-keys.
func (w *world) ratchets() (a, b store.CustomerID) {
	w.t.Helper()
	a, b = w.customer("+15551234567"), w.customer("+15551234568")
	w.update(func(tx *store.Tx) error {
		return errors.Join(tx.PutRecord(a, 7, []byte("of a")), tx.PutRecord(b, 7, []byte("of b")),
			tx.PutPreKey(store.Key{ID: 1, Data: []byte("one"), Created: w.now}),
			tx.PutPreKey(store.Key{ID: 2, Data: []byte("two"), Created: w.now}),
			tx.PutSignedPreKey(store.Key{ID: 1, Data: []byte("signed"), Created: w.now}))
	})
	return a, b
}

func TestSessionsAndPreKeysThatWerePutBackOrTakenAwayAreSeen(t *testing.T) {
	const keep = `CREATE TABLE kept AS SELECT * FROM `
	cases := map[string]struct {
		before []string // while the store is closed
		use    func(w *world, a store.CustomerID) error
		after  []string // while it is closed again
	}{
		"an older session": {
			[]string{keep + "sessions"},
			func(w *world, a store.CustomerID) error {
				return w.Update(w.t.Context(), func(tx *store.Tx) error { return tx.PutRecord(a, 7, []byte("a step on")) })
			},
			[]string{`UPDATE sessions SET sealed = (SELECT sealed FROM kept WHERE kept.id = sessions.id)`},
		},
		"a used pre-key": {
			[]string{keep + "prekeys"},
			func(w *world, _ store.CustomerID) error {
				return w.Update(w.t.Context(), func(tx *store.Tx) error { return tx.DeletePreKey(1) })
			},
			[]string{`INSERT INTO prekeys SELECT * FROM kept WHERE kind = 2 AND id = 1`},
		},
		"a session less":      {after: []string{`DELETE FROM sessions WHERE id = 1`}},
		"no sessions at all":  {after: []string{`DELETE FROM sessions`, `DELETE FROM prekeys`}},
		"a truncated session": {after: []string{`UPDATE sessions SET sealed = substr(sealed, 1, 20) WHERE id = 1`}},
		"no sum":              {after: []string{`DELETE FROM meta WHERE key = 'sum'`}},
		"another sum":         {after: []string{`UPDATE meta SET value = randomblob(61) WHERE key = 'sum'`}},
		"an older sum": {
			[]string{keep + "meta"},
			func(w *world, a store.CustomerID) error {
				return w.Update(w.t.Context(), func(tx *store.Tx) error { return tx.PutRecord(a, 7, []byte("a step on")) })
			},
			[]string{`UPDATE meta SET value = (SELECT value FROM kept WHERE kept.key = 'sum') WHERE key = 'sum'`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, _ := w.ratchets()
			w.reopened(func() { w.sql(tc.before...) })
			if w.Tampered() {
				t.Fatal("it counts as tampered with before anything was done")
			}
			if tc.use != nil {
				if err := tc.use(w, a); err != nil {
					t.Fatal(err)
				}
			}
			w.reopened(func() { w.sql(tc.after...) })
			if !w.Tampered() || !w.Restored() {
				t.Fatal("it is not seen")
			}
			if err := w.DropRatchets(t.Context(), func(*store.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			w.noRatchets(a)
			w.ratchets2(a)
			if w.reopened(func() {}); w.Tampered() || w.Restored() {
				t.Error("it counts as tampered with after it was accepted")
			}
		})
	}
}

// ratchets2 starts over after a drop.
func (w *world) ratchets2(a store.CustomerID) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		return errors.Join(tx.PutRecord(a, 7, []byte("again")), tx.PutPreKey(store.Key{ID: 9, Data: []byte("again"), Created: w.now}))
	})
}

func TestOrdinaryUseNeverCountsAsTamperedWith(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	refused := errors.New("refused")
	var customers []store.CustomerID
	for i := range 300 {
		err := w.Update(t.Context(), func(tx *store.Tx) error {
			if len(customers) < 5 || random.IntN(8) == 0 {
				c := store.Customer{Number: number(t, fmt.Sprintf("+1555%07d", i))}
				if err := tx.PutCustomer(&c); err != nil {
					return err
				}
				customers = append(customers, c.ID)
			}
			c, d := customers[random.IntN(len(customers))], carrier.DeviceID(1+random.IntN(3))
			key := store.Key{ID: uint32(1 + random.IntN(9)), Data: []byte{byte(i)}, Created: w.now}
			var err error
			switch random.IntN(7) {
			case 0, 1, 2:
				err = errors.Join(tx.PutRecord(c, d, []byte{byte(i)}), tx.PutRecord(c, d, []byte{byte(i), 1}))
			case 3:
				err = tx.DeleteRecord(c, d)
			case 4:
				err = errors.Join(tx.PutPreKey(key), tx.PutSignedPreKey(key))
			case 5:
				err = errors.Join(tx.DeletePreKey(key.ID), tx.DeleteSignedPreKey(key.ID))
			case 6:
				err = tx.EraseCustomer(c)
			}
			if errors.Is(err, store.ErrNotFound) { // erased before
				return nil
			}
			if err == nil && random.IntN(5) == 0 {
				return refused
			}
			return err
		})
		if err != nil && !errors.Is(err, refused) {
			t.Fatal(err)
		}
		switch {
		case i%60 == 59:
			w.pass(24 * time.Hour)
		case i%90 == 89:
			if _, err := w.Sweep(t.Context(), w.now.Add(-36*time.Hour)); err != nil {
				t.Fatal(err)
			}
		case i%50 == 49:
			if w.reopened(func() {}); w.Tampered() {
				t.Fatalf("after %d steps it counts as tampered with", i+1)
			}
		}
	}
	if w.reopened(func() {}); w.Tampered() {
		t.Fatal("in the end it counts as tampered with")
	}
}
