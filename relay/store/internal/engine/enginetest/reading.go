package enginetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

func views(w *world) {
	w.run("sees one moment", func(w *world) {
		w.must(w.change(func(tx engine.Tx) error { return put(tx, "a") }))
		w.must(w.db.View(w.Context(), func(tx engine.Tx) error {
			first, err := keys(tx)
			w.must(err)
			w.must(w.change(func(tx engine.Tx) error { return put(tx, "b") }))
			second, err := keys(tx)
			if !slices.Equal(first, second) {
				w.Errorf("it sees %q and then %q", first, second)
			}
			return err
		}))
		if found := w.durable(); !slices.Equal(found, []string{"a", "b"}) {
			w.Errorf("the next one sees %q", found)
		}
	})
	w.run("cannot write", func(w *world) {
		w.wantIs(w.db.View(w.Context(), func(tx engine.Tx) error { return put(tx, "a") }), engine.ErrReadOnly)
		w.wantIs(w.db.View(w.Context(), func(tx engine.Tx) error { return tx.Write(`DELETE FROM meta`) }), engine.ErrReadOnly)
	})
	w.run("returns its error as it is, and passes on its panic", func(w *world) {
		for range 10 { // each of its connections, too
			if err := w.db.View(w.Context(), func(engine.Tx) error { return errRefused }); err != errRefused { //nolint:errorlint // the very same is promised
				w.Errorf("it returns %v", err)
			}
			func() {
				defer func() {
					if got := recover(); got != "boom" {
						w.Errorf("it panics with %v", got)
					}
				}()
				_ = w.db.View(w.Context(), func(tx engine.Tx) error { _, _ = keys(tx); panic("boom") })
			}()
		}
		w.durable()
	})
	w.run("goes on after a statement failed", func(w *world) {
		for range 10 {
			if err := w.db.View(w.Context(), func(tx engine.Tx) error {
				return tx.Rows(`SELECT nothing FROM nowhere`, func([]driver.Value) error { return nil })
			}); err == nil {
				w.Error("there is such a table")
			}
		}
		w.durable()
	})
	w.run("runs beside others and beside changes", func(w *world) {
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for n := range 20 {
					if err := w.change(func(tx engine.Tx) error { return put(tx, fmt.Sprintf("%d.%d", i, n)) }); err != nil {
						w.Error(err)
					}
					if err := w.db.View(w.Context(), func(tx engine.Tx) error { _, err := keys(tx); return err }); err != nil {
						w.Error(err)
					}
				}
			})
		}
		group.Wait()
		if found := w.durable(); len(found) != 160 {
			w.Errorf("%d are durable", len(found))
		}
	})
	w.run("waits for its turn no longer than its context", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		w.wantIs(w.db.View(ctx, func(engine.Tx) error { w.Error("it ran"); return nil }), context.Canceled)
	})
}

func queries(w *world) {
	w.run("returns what was written", func(w *world) {
		want := []driver.Value{int64(math.MinInt64), "text with 'quotes', ? and ümlauts", []byte{0, 1, 255}}
		w.must(w.change(func(tx engine.Tx) error {
			n, err := tx.Run(`INSERT INTO epochs (id, wrapped, created) VALUES (?, ?, ?3)`, int64(7), want[1], want[0])
			if n != 1 {
				w.Errorf("%d rows were inserted", n)
			}
			if err != nil {
				return err
			}
			_, err = tx.Run(`INSERT INTO meta (key, value) VALUES ('?', ?)`, want[2])
			if err != nil {
				return err
			}
			_, err = tx.Run(`INSERT INTO media (id, epoch, complete, created, sealed, customer) VALUES (?1, ?2, 0, ?1, ?3, ?4)`, int64(5), int64(7), []byte{}, nil)
			return err
		}))
		w.must(w.db.View(w.Context(), func(tx engine.Tx) error {
			err := tx.Rows(`SELECT created, wrapped, value FROM epochs, meta WHERE key = '?'`, func(row []driver.Value) error {
				if row[0] != want[0] || row[1] != want[1] || string(row[2].([]byte)) != string(want[2].([]byte)) {
					w.Errorf("read %v", row)
				}
				return nil
			})
			return errors.Join(err, tx.Rows(`SELECT customer, sealed, length(sealed) FROM media`, func(row []driver.Value) error {
				if b, isBytes := row[1].([]byte); row[0] != nil || !isBytes || len(b) != 0 || row[2] != int64(0) {
					w.Errorf("read %#v", row)
				}
				return nil
			}))
		}))
	})
	w.run("gives rows whose bytes may be kept, in any number", func(w *world) {
		const many = 3000
		w.must(w.change(func(tx engine.Tx) error {
			for i := range many {
				if _, err := tx.Run(`INSERT INTO seen (row, epoch, hash) VALUES (?, 1, ?)`, int64(i), []byte(strings.Repeat(fmt.Sprintf("%04d", i), 1+i%50))); err != nil {
					return err
				}
			}
			return nil
		}))
		var kept [][]byte
		w.must(w.db.View(w.Context(), func(tx engine.Tx) error {
			return tx.Rows(`SELECT hash FROM seen ORDER BY row`, func(row []driver.Value) error {
				b, _ := row[0].([]byte)
				kept = append(kept, b)
				return nil
			})
		}))
		for i, b := range kept {
			if string(b) != strings.Repeat(fmt.Sprintf("%04d", i), 1+i%50) {
				w.Fatalf("row %d holds %q", i, b)
			}
		}
		if len(kept) != many {
			w.Errorf("%d rows were read", len(kept))
		}
	})
	w.run("ends where its caller has enough", func(w *world) {
		w.must(w.change(func(tx engine.Tx) error {
			for i := range 200 {
				if err := put(tx, fmt.Sprintf("%03d", i)); err != nil {
					return err
				}
			}
			for _, enough := range []int{1, 3, 100} {
				seen := 0
				err := tx.Rows(`SELECT key FROM meta ORDER BY key`, func([]driver.Value) error {
					if seen++; seen == enough {
						return errRefused
					}
					return nil
				})
				if !errors.Is(err, errRefused) || seen != enough {
					w.Errorf("it saw %d rows and returned %v", seen, err)
				}
			}
			return nil
		}))
	})
	w.run("lets others run within it", func(w *world) {
		w.must(w.change(func(tx engine.Tx) error {
			for i := range 100 {
				if err := put(tx, fmt.Sprintf("%03d", i)); err != nil {
					return err
				}
			}
			args := []driver.Value{"000"}
			seen := 0
			err := tx.Rows(`SELECT key FROM meta WHERE key >= ? AND key <> 'store' AND key < 'x' ORDER BY key`, func(row []driver.Value) error {
				args[0] = nil // they were copied
				if key := fmt.Sprintf("%03d", seen); row[0] != key {
					w.Errorf("row %d has the key %v", seen, row[0])
				}
				seen++
				found := 0
				err := tx.Rows(`SELECT value FROM meta WHERE key = ?`, func([]driver.Value) error {
					found++
					return tx.Rows(`SELECT count(*) FROM meta`, func([]driver.Value) error { return nil })
				}, row[0])
				if found != 1 {
					w.Errorf("%v is there %d times", row[0], found)
				}
				_, updated := tx.Run(`UPDATE meta SET value = ? WHERE key = ?`, []byte{1}, row[0])
				return errors.Join(err, updated)
			}, args...)
			if seen != 100 {
				w.Errorf("%d rows were seen", seen)
			}
			return err
		}))
	})
	w.run("says how many rows were changed", func(w *world) {
		w.must(w.change(func(tx engine.Tx) error {
			w.must(errors.Join(put(tx, "a"), put(tx, "b")))
			for _, x := range []struct {
				text string
				want int64
			}{
				{`UPDATE meta SET value = value WHERE key IN ('a', 'b')`, 2},
				{`DELETE FROM meta WHERE key = 'c'`, 0},
				{`DELETE FROM meta WHERE key = 'b'`, 1},
			} {
				if n, err := tx.Run(x.text); err != nil || n != x.want {
					w.Errorf("%s changed %d rows, %v", x.text, n, err)
				}
			}
			n, err := tx.Run(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING`, "a", []byte{})
			if n != 0 {
				w.Errorf("%d rows were inserted where there was one", n)
			}
			return err
		}))
	})
}
