package store_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

func runtimeGoexit() { runtime.Goexit() }

// swap exchanges one column of the two rows of a table.
func swap(table, key, column string) []string {
	return []string{
		`CREATE TEMP TABLE s AS SELECT ` + key + ` k, ` + column + ` v FROM ` + table,
		`UPDATE ` + table + ` SET ` + column + ` = (SELECT randomblob(16) || k FROM s WHERE k = ` + key + `)`,
		`UPDATE ` + table + ` SET ` + column + ` = (SELECT v FROM s WHERE k <> ` + key + `)`,
	}
}

// two makes two of everything that can be exchanged.
func two(w *world) (customers [2]store.CustomerID, messages [2]string) {
	for i := range 2 {
		c := w.customer([]string{"+15551234567", "+15551234568"}[i])
		customers[i] = c
		messages[i] = w.message(c, []string{"to the first", "to the second"}[i])
		w.update(func(tx *store.Tx) error {
			if err := tx.PutPreKey(store.Key{ID: uint32(i + 1), Data: []byte{byte(i + 1)}}); err != nil {
				return err
			}
			_, err := tx.Enqueue(store.Job{Queue: "q", NotBefore: start, Body: []byte{byte(i)}})
			return err
		})
	}
	w.update(func(tx *store.Tx) error {
		for d := range 2 {
			if err := tx.PutDevice(customers[0], store.Device{ID: 5 + 1, Active: true}); err != nil {
				return err
			}
			if err := tx.PutDevice(customers[0], store.Device{ID: 5 + 2}); err != nil {
				return err
			}
			if err := tx.PutRecord(customers[0], 6, []byte{byte(d)}); err != nil {
				return err
			}
			if err := tx.PutRecord(customers[0], 7, []byte{byte(d)}); err != nil {
				return err
			}
		}
		return nil
	})
	return customers, messages
}

func TestExchangedRowsAreSeen(t *testing.T) {
	ofFiles(t)
	for _, c := range []struct{ table, key, column string }{
		{"customers", "id", "sealed"},
		{"customers", "id", "lookup"},
		{"customers", "id", "user"},
		{"messages", "row", "sealed"},
		{"messages", "row", "customer"},
		{"messages", "row", "id"},
		{"messages", "row", "carrier"},
		{"devices", "id", "sealed"},
		{"devices", "id", "lookup"},
		{"sessions", "id", "sealed"},
		{"sessions", "id", "lookup"},
		{"prekeys", "id", "sealed"},
		{"jobs", "id", "sealed"},
	} {
		t.Run(c.table+"."+c.column, func(t *testing.T) {
			w := newWorld(t)
			customers, messages := two(w)
			w.close()
			w.sql(swap(c.table, c.key, c.column)...)
			w.open(store.MustExist())
			seen := w.readEverything(customers, messages)
			wantIs(t, seen[c.table], seal.ErrTampered)
			for table, err := range seen {
				if table != c.table && err != nil {
					t.Errorf("%s: %v", table, err)
				}
			}
		})
	}
}

// readEverything reads what two wrote and returns the error of each table.
func (w *world) readEverything(customers [2]store.CustomerID, messages [2]string) map[string]error {
	w.t.Helper()
	reads := map[string]func(*store.Tx) error{
		"customers": func(tx *store.Tx) error {
			c, err := tx.CustomerByID(customers[0])
			if err != nil {
				return err
			}
			if _, err := tx.CustomerByUser(c.UserID); err != nil {
				return err
			}
			_, err = tx.Customer(number(w.t, "+15551234567"))
			return err
		},
		"messages": func(tx *store.Tx) error {
			if _, err := tx.Message(messages[0]); err != nil {
				return err
			}
			_, err := tx.MessageByCarrierID(store.Inbound, "dG8gdGhlIGZpcnN0") // as message writes it
			return err
		},
		"devices": func(tx *store.Tx) error {
			if _, err := tx.Devices(customers[0]); err != nil {
				return err
			}
			_, err := tx.Device(customers[0], 6)
			return err
		},
		"sessions": func(tx *store.Tx) error { _, err := tx.Record(customers[0], 6); return err },
		"prekeys":  func(tx *store.Tx) error { _, err := tx.PreKey(1); return err },
		"jobs": func(tx *store.Tx) error {
			jobs, err := tx.Due("q", start, store.Place{}, 10)
			if slices.ContainsFunc(jobs, func(j store.Job) bool { return j.Damaged && j.Body == nil }) {
				return seal.ErrTampered // those behind it are read nevertheless
			}
			return err
		},
	}
	seen := make(map[string]error)
	for table, read := range reads {
		seen[table] = w.View(w.t.Context(), read)
	}
	return seen
}

func TestChangedColumnsAreSeen(t *testing.T) {
	ofFiles(t)
	for table, changes := range map[string][]string{
		"customers": {"sealed = substr(sealed, 1, 10)", "sealed = zeroblob(100)", "sealed = 'text'", "sealed = 7"},
		"messages": {
			"state = 'read'", "created = created + 1", "updated = updated + 1", "direction = 2",
			"sealed = substr(sealed, 1, length(sealed) - 1)", "sealed = x''", "state = 7",
		},
		"devices":  {"sealed = substr(sealed, 2)"},
		"sessions": {"sealed = substr(sealed, 1, 28)", "customer = (SELECT max(id) FROM customers WHERE id <> customer)"},
		"prekeys":  {"created = created + 1", "sealed = zeroblob(40)"},
		"jobs":     {"queue = 'q', message = 'wamid.other'", "created = created + 1", "sealed = x'01'"},
	} {
		for _, change := range changes {
			t.Run(table+" "+change, func(t *testing.T) {
				w := newWorld(t)
				customers, messages := two(w)
				w.close()
				w.sql(`UPDATE ` + table + ` SET ` + change)
				w.open(store.MustExist())
				err := w.readEverything(customers, messages)[table]
				if table == "sessions" && change[0] == 'c' {
					if err != nil { // the row now belongs to another, who has no such lookup
						t.Errorf("error is %v", err)
					}
					return
				}
				wantIs(t, err, seal.ErrTampered)
			})
		}
	}
}

// A damaged epoch is not believed where the row's HMAC says which one it is; of a damaged
// HMAC there is no such row.
func TestDamagedRow_AffectsOnlyItself(t *testing.T) {
	ofFiles(t)
	for change, want := range map[string]error{
		"epoch = 'text' WHERE id = 1":  nil,
		"epoch = 99 WHERE id = 1":      nil,
		"lookup = 5 WHERE id = 1":      store.ErrNotFound,
		"sealed = 'text' WHERE id = 1": store.ErrNotFound,
	} {
		t.Run(change, func(t *testing.T) {
			w := newWorld(t)
			customers, _ := two(w)
			w.close()
			w.sql(`UPDATE devices SET `+change, `UPDATE customers SET epoch = 'text'`)
			w.open(store.MustExist())
			w.update(func(tx *store.Tx) error {
				_, err := tx.Device(customers[0], 6)
				wantIs(t, err, want)
				if _, err := tx.Device(customers[0], 7); err != nil {
					t.Errorf("the other device: %v", err)
				}
				if err := tx.PutDevice(customers[0], store.Device{ID: 6, Active: true}); err != nil {
					t.Errorf("writing it: %v", err)
				}
				_, err = tx.Customer(number(t, "+15551234567"))
				return err
			})
		})
	}
}

func TestDamagedPreKey_DoesNotKeepTheOthersFromTheNextEpoch(t *testing.T) {
	w := newWorld(t)
	two(w)
	w.sql(`UPDATE prekeys SET sealed = zeroblob(60) WHERE id = 1`)
	w.pass(day)
	w.view(func(tx *store.Tx) error {
		keys, err := tx.PreKeys()
		if len(keys) != 1 || keys[0].ID != 2 {
			t.Errorf("%d keys are left", len(keys))
		}
		return err
	})
}

func TestJob_WithoutAValidTimeIsDue(t *testing.T) {
	ofFiles(t)
	for _, mend := range []string{"opening", "sweeping"} {
		for _, value := range []string{"'x'", "zeroblob(8)", "1.5"} {
			t.Run(mend+" "+value, func(t *testing.T) {
				w := newWorld(t)
				two(w)
				w.sql(`UPDATE jobs SET not_before = ` + value + ` WHERE id = 1`)
				if mend == "opening" {
					w.reopen()
				} else if _, err := w.Sweep(t.Context(), start.Add(-day)); err != nil {
					t.Fatal(err)
				}
				w.view(func(tx *store.Tx) error {
					jobs, err := tx.Due("q", start, store.Place{}, 10)
					if len(jobs) != 2 || jobs[0].ID != 1 || jobs[0].Damaged {
						t.Errorf("due are %+v", jobs)
					}
					return err
				})
			})
		}
	}
}

func TestDamagedFile_IsGone(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	m, _ := w.file(10)
	w.sql(`UPDATE media_chunks SET sealed = 'text'`)
	_, err := w.read(m)
	wantIs(t, err, store.ErrNotFound)
	w.sql(`UPDATE media SET sealed = 7`)
	w.view(func(tx *store.Tx) error {
		_, err := tx.Media(m.ID)
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

// A file whose row has a number that is none of an ID's goes like any other: opening the
// store, or a sweep, would look for it without end.
func TestFile_OfADamagedNumberGoes(t *testing.T) {
	ofFiles(t)
	for _, number := range []string{"5", "-7000000000000000", "9000000000000000000"} {
		t.Run(number, func(t *testing.T) {
			w := newWorld(t)
			w.file(10)
			w.file(store.MediaChunk + 1)
			w.close()
			w.sql(`UPDATE media SET id = ` + number + ` WHERE id = (SELECT max(id) FROM media)`)
			w.open(store.MustExist())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := w.Sweep(ctx, start.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if n := w.count("media"); n > 0 {
				t.Errorf("%d files are left", n)
			}
		})
	}
}

func TestDamagedBaseKey_DoesNotHoldItsSignedPreKey(t *testing.T) {
	ofFiles(t)
	for _, change := range []string{"hash = 'text'", "hash = 1.5", "hash = x'00'"} {
		t.Run(change, func(t *testing.T) {
			w := newWorld(t)
			w.update(func(tx *store.Tx) error {
				_, err := tx.SeenBase([32]byte{1}, 1)
				return errors.Join(err, tx.PutSignedPreKey(store.Key{ID: 1, Data: []byte("key"), Created: start}))
			})
			w.sql(`UPDATE bases SET ` + change)
			w.update(func(tx *store.Tx) error { return tx.DeleteSignedPreKey(1) })
			if n := w.count("bases"); n > 0 {
				t.Errorf("%d base keys are left", n)
			}
			w.reopen()
			if !w.Tampered() {
				t.Error("what was changed is not noticed")
			}
		})
	}
}

func TestRowOfAnotherEpochIsSeen(t *testing.T) {
	w := newWorld(t)
	_, messages := two(w)
	w.pass(day)
	w.message(w.customer("+15551234569"), "m")
	w.close()
	w.sql(`UPDATE messages SET epoch = 2`)
	w.open(store.MustExist())
	w.view(func(tx *store.Tx) error {
		_, err := tx.Message(messages[0])
		wantIs(t, err, seal.ErrTampered)
		return nil
	})
}

// Rows that all others depend on fail closed.
func TestDamagedRow_ThatOthersDependOnKeepsTheStoreClosed(t *testing.T) {
	ofFiles(t)
	for _, change := range []string{
		"epochs SET created = 'text'", "settings_keys SET wrapped = 5", "settings SET sealed = 'text' WHERE name = 'store.seen'",
	} {
		t.Run(change, func(t *testing.T) {
			w := newWorld(t)
			two(w)
			w.close()
			w.sql(`UPDATE ` + change)
			if _, err := w.tryOpen(store.MustExist()); err == nil {
				t.Error("it opens")
			}
		})
	}
}
