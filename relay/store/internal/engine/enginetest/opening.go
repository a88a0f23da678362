package enginetest

import (
	"database/sql/driver"
	"slices"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

func opening(w *world) {
	w.run("is for one process", func(w *world) {
		_, err := w.Open(owner, false, new(group))
		w.wantIs(err, engine.ErrLocked)
		w.must(w.change(func(tx engine.Tx) error { return put(tx, "a") }))
		w.reopen()
	})
	w.run("is for one owner", func(w *world) {
		w.close()
		other := owner
		other[0]++
		_, err := w.Open(other, false, new(group))
		w.wantIs(err, engine.ErrForeign)
		w.open()
	})
	w.run("refuses another program's database", func(w *world) {
		w.close()
		p := w.newPlace(w.T)
		p.Strange()
		for _, mustExist := range []bool{false, true} {
			_, err := p.Open(owner, mustExist, new(group))
			w.wantIs(err, engine.ErrForeign)
		}
	})
	w.run("refuses a newer build's database", func(w *world) {
		w.close()
		w.Version(w.Migrations() + 1)
		_, err := w.Open(owner, true, new(group))
		w.wantIs(err, engine.ErrNewer)
		w.Version(w.Migrations())
		w.open()
	})
	w.run("misses what must be there, and makes nothing in its place", func(w *world) {
		p := w.newPlace(w.T)
		_, err := p.Open(owner, true, new(group))
		w.wantIs(err, engine.ErrMissing)
		if !p.Empty() {
			w.Error("the refusal left something behind")
		}
	})
	w.run("tells a database by its birth", func(w *world) {
		birth := w.db.Birth()
		w.reopen()
		if again := w.db.Birth(); again != birth {
			w.Errorf("its birth is %d and then %d", birth, again)
		}
	})
	w.run("gives out no identifier of a job twice", func(w *world) {
		highest := func() (n int64) {
			w.must(w.db.View(w.Context(), func(tx engine.Tx) error {
				return tx.Rows(`SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'jobs'`, func(row []driver.Value) error {
					n, _ = row[0].(int64)
					return nil
				})
			}))
			return n
		}
		var given int64
		w.must(w.change(func(tx engine.Tx) error {
			given = 1
			if err := tx.Rows(`SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'jobs'`, func(row []driver.Value) error {
				given, _ = row[0].(int64)
				return nil
			}); err != nil {
				return err
			}
			if _, err := tx.Run(`INSERT INTO epochs (id, wrapped, created) VALUES (1, 'x', 0)`); err != nil {
				return err
			}
			if _, err := tx.Run(`INSERT INTO jobs (id, epoch, queue, message, not_before, attempts, created, sealed)
				VALUES (?, 1, 'q', 'm', 0, 0, 0, ?)`, given, []byte{}); err != nil {
				return err
			}
			_, err := tx.Run(`DELETE FROM jobs`)
			return err
		}))
		w.reopen()
		if next := highest() + 1; next <= given {
			w.Errorf("%d was given out, and the next would be %d", given, next)
		}
	})
}

func closing(w *world) {
	w.run("fails those who wait, and all who come", func(w *world) {
		running, release := make(chan struct{}), make(chan struct{})
		first := w.begin(func(tx engine.Tx) error { close(running); <-release; return put(tx, "a") })
		<-running
		closed := make(chan error)
		go func() { closed <- w.db.Close() }()
		close(release)
		w.must(first())
		w.must(<-closed)
		for name, err := range map[string]error{
			"a change": w.change(func(engine.Tx) error { return nil }),
			"Shrink":   w.db.Shrink(w.Context(), engine.Change{Do: func(engine.Tx) error { return nil }, Kept: func() {}}),
			"a view":   w.db.View(w.Context(), func(engine.Tx) error { return nil }),
			"Scrub":    w.db.Scrub(w.Context()),
		} {
			if err == nil {
				w.Errorf("%s ran", name)
			}
			w.wantIs(err, engine.ErrClosed)
		}
		w.open()
		if found := w.durable(); !slices.Equal(found, []string{"a"}) {
			w.Errorf("durable are %q", found)
		}
	})
}

func room(w *world) {
	w.run("is freed", func(w *world) {
		w.must(w.change(func(tx engine.Tx) error {
			tx.Fresh()
			if volume, held := tx.Usage(); volume < 0 || held < 0 {
				w.Errorf("of %d bytes %d are held", volume, held)
			}
			return put(tx, "a")
		}))
		kept := 0
		w.must(w.db.Shrink(w.Context(), engine.Change{
			Do:   func(tx engine.Tx) error { _, err := tx.Run(`DELETE FROM meta WHERE key = 'a'`); return err },
			Kept: func() { kept++ },
		}))
		if found := w.durable(); len(found) > 0 || kept != 1 {
			w.Errorf("durable are %q, kept %d", found, kept)
		}
		w.must(w.db.View(w.Context(), func(tx engine.Tx) error {
			_, err := keys(tx)
			w.must(w.db.Scrub(w.Context()))
			return err
		}))
		w.must(w.db.Scrub(w.Context()))
		if w.db.Full() || w.db.Batch() <= 0 || w.db.Freed() < 0 {
			w.Errorf("full %v, batch %d, freed %d", w.db.Full(), w.db.Batch(), w.db.Freed())
		}
		r, err := w.db.Room(w.Context())
		w.must(err)
		if r.Used <= 0 || r.Limit < 0 || r.Free < 0 || r.Free > r.Limit || r.Limit > 0 && r.Free == 0 {
			w.Errorf("the room is %+v", r)
		}
	})
}

func migrating(w *world) {
	w.run("comes from every earlier build", func(w *world) {
		want := w.Columns()
		for version := 1; version <= w.Migrations(); version++ {
			p := w.newPlace(w.T)
			p.Earlier(owner, version)
			db, err := p.Open(owner, true, new(group))
			if err != nil {
				w.Errorf("from version %d: %v", version, err)
				continue
			}
			if got := p.Columns(); !slices.Equal(got, want) {
				w.Errorf("from version %d there are %q, want %q", version, got, want)
			}
			w.must(db.Close())
		}
	})
}
