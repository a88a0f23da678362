package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store"
)

// movable is a store in a directory with something in every kind of row, and an empty database for it.
func movable(t *testing.T) (w *world, to store.Server) {
	t.Helper()
	if onServer == nil {
		t.Skip("TestOnPostgreSQL runs it")
	}
	there := newPlace(t)
	w = newPlace(t)
	w.dir, w.server = t.TempDir(), nil
	w.open(store.OnVolume("first"))
	w.everything()
	d := there.server
	return w, store.Server{
		Address: d.Address, Database: d.Name, CA: d.CA,
		Login: func(context.Context) (string, string, error) { return d.Name, d.Password, nil },
	}
}

// everything writes something of each kind.
func (w *world) everything() {
	w.t.Helper()
	c := w.customer("+4930111111")
	id := w.message(c, "kept")
	w.update(func(tx *store.Tx) error {
		media := store.NewMediaID()
		_, err := tx.SeenCiphertext([32]byte{1})
		_, queued := tx.Enqueue(store.Job{Queue: "outbox", Customer: c, Message: id, NotBefore: w.now, Created: w.now, Body: []byte("send it")})
		return errors.Join(err, queued,
			tx.PutRecord(c, 7, []byte("ratchet")),
			tx.PutPreKey(store.Key{ID: 1, Data: []byte("k"), Created: w.now}),
			tx.PutSignedPreKey(store.Key{ID: 1, Data: []byte("s"), Created: w.now}),
			tx.PutSetting("profile", []byte("the business's")),
			tx.AppendLog(0, []byte("logged"), w.now, 0, []store.LogHash{{1}}),
			tx.BeginMedia(store.Media{ID: media, Created: w.now}, c), tx.PutMediaChunk(media, 0, bytes.Repeat([]byte("x"), 1000)),
			tx.FinishMedia(store.Media{ID: media, MIME: "image/png", Size: 1000}),
		)
	})
}

// moved moves the store and opens it where it is then.
func (w *world) moved(to store.Server) {
	w.t.Helper()
	rows, err := w.move(to)
	if err != nil || rows < 11 {
		w.t.Fatalf("moving: %d rows, %v", rows, err)
	}
	w.openAt(to)
}

func (w *world) move(to store.Server) (int64, error) {
	return store.MoveToServer(w.t.Context(), w.dir, w.id, to, store.OnVolume("first"))
}

func (w *world) openAt(to store.Server) {
	w.t.Helper()
	w.open(store.MustExist(), store.OnServer(to))
}

// hasAll checks that a store that was moved is the one that movable made.
func (w *world) hasAll() {
	t := w.t
	t.Helper()
	if w.Restored() || w.Tampered() {
		t.Errorf("restored: %v, tampered: %v", w.Restored(), w.Tampered())
	}
	w.view(func(tx *store.Tx) error {
		c, err := tx.Customer(number(t, "+4930111111"))
		if err != nil {
			return err
		}
		record, err := tx.Record(c.ID, 7)
		if err != nil || string(record) != "ratchet" {
			t.Errorf("the session is %q, %v", record, err)
		}
		log, err := tx.LogEntries(0, 1)
		if err != nil || string(log[0]) != "logged" {
			t.Errorf("the log's entry is %q, %v", log, err)
		}
		profile, err := tx.Setting("profile")
		if err != nil || string(profile) != "the business's" {
			t.Errorf("the setting is %q, %v", profile, err)
		}
		return nil
	})
}

func TestMove_KeepsEveryRowAndRetiresTheDirectory(t *testing.T) {
	w, to := movable(t)
	w.close()
	w.moved(to)
	w.hasAll()
	w.more()
	w.close()
	if _, err := w.tryOpen(); !errors.Is(err, store.ErrMoved) {
		t.Errorf("opening the directory: %v", err)
	}
	if _, err := store.OwnerOf(w.dir); !errors.Is(err, store.ErrMoved) {
		t.Errorf("reading the directory's owner: %v", err)
	}
	if _, err := w.move(to); !errors.Is(err, store.ErrMoved) {
		t.Errorf("moving again: %v", err)
	}
}

// more writes what gets identifiers that must follow those that were moved.
func (w *world) more() {
	w.t.Helper()
	c := w.customer("+4930222222")
	id := w.message(c, "after the move")
	w.update(func(tx *store.Tx) error {
		media := store.NewMediaID()
		_, queued := tx.Enqueue(store.Job{Queue: "outbox", Customer: c, Message: id, NotBefore: w.now, Created: w.now, Body: []byte("send it")})
		return errors.Join(queued,
			tx.PutRecord(c, 8, []byte("another")),
			tx.BeginMedia(store.Media{ID: media, Created: w.now}, c), tx.PutMediaChunk(media, 0, []byte("y")),
			tx.FinishMedia(store.Media{ID: media, MIME: "image/png", Size: 1}),
		)
	})
}

func TestMove_GoesOnAfterAnInterruption(t *testing.T) {
	w, to := movable(t)
	w.close()
	if _, err := w.move(to); err != nil {
		t.Fatal(err)
	}
	w.sql("PRAGMA application_id = 0x726b7374") // as if it had ended before it said that the store was moved
	w.moved(to)
	w.close()
	// But once the database has been used, it is not a copy any more.
	w.sql("PRAGMA application_id = 0x726b7374")
	w.openAt(to)
	w.more()
	w.close()
	_, err := w.move(to)
	wantIs(t, err, store.ErrNotEmpty)
	w.open(store.OnVolume("first"))
}

func TestMove_RefusesAndChangesNothing(t *testing.T) {
	w, to := movable(t)
	_, err := w.move(to)
	wantIs(t, err, store.ErrLocked)
	w.close()

	_, err = store.MoveToServer(t.Context(), w.dir, [16]byte{9}, to)
	wantIs(t, err, store.ErrForeignStore)
	_, err = store.MoveToServer(t.Context(), t.TempDir(), w.id, to)
	wantIs(t, err, store.ErrStoreMissing)

	version := ""
	w.query(func(scan func(...any) error) error { return scan(&version) }, "PRAGMA user_version")
	w.sql("PRAGMA user_version = 1000")
	_, err = w.move(to)
	wantIs(t, err, store.ErrNewer)
	w.sql("PRAGMA user_version = " + version)

	w.sql("UPDATE messages SET created = 'never'")
	if _, err = w.move(to); err == nil {
		t.Error("a damaged row was moved")
	}
	w.sql("UPDATE messages SET created = 0")
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err = store.MoveToServer(ended, w.dir, w.id, to); err == nil {
		t.Error("the store was moved by one that was told to end")
	}
	w.moved(to) // after all of that the database is still empty
}

func TestMove_OfARestoredStoreIsRestored(t *testing.T) {
	for name, do := range map[string]func(w *world){
		"marked": func(w *world) {
			if err := os.WriteFile(filepath.Join(w.dir, store.RestoredMarker), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"copied": func(w *world) {
			to := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(to, os.DirFS(w.dir)); err != nil {
				t.Fatal(err)
			}
			w.dir = to
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, to := movable(t)
			w.close()
			do(w)
			w.moved(to)
			if !w.Restored() {
				t.Error("it does not count as restored")
			}
		})
	}
}
