package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestStoreOfAnotherIdentityIsRefused(t *testing.T) {
	w := newWorld(t)
	w.customer("+15551234567")
	w.close()
	w.id[0]++
	_, err := w.tryOpen()
	wantIs(t, err, store.ErrForeignStore)
	wantIs(t, store.Create(t.Context(), w.dir, w.id, w.options()...), store.ErrForeignStore)
	w.id[0]--
	w.open(store.MustExist())
}

func TestDatabaseOfAnotherProgramIsRefused(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.close()
	w.sql(`PRAGMA application_id = 7`)
	_, err := w.tryOpen()
	wantIs(t, err, store.ErrForeignStore)
}

func TestMissingStoreIsRefusedWhereThereWasOne(t *testing.T) {
	ofFiles(t)
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "data"), id: [16]byte{9}, vw: sealtest.New(), own: sealtest.New(), now: start}
	_, err := w.tryOpen(store.MustExist())
	wantIs(t, err, store.ErrStoreMissing)
	if _, err := os.Stat(w.dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("the refusal left something behind")
	}
	w.open()
	w.close()
	w.open(store.MustExist())
	w.close()
	if err := os.Truncate(filepath.Join(w.dir, "relay.db"), 0); err != nil {
		t.Fatal(err)
	}
	_, err = w.tryOpen(store.MustExist())
	wantIs(t, err, store.ErrStoreMissing)
}

func TestCreatedStoreIsThereAndEmpty(t *testing.T) {
	ofFiles(t)
	w := &world{t: t, dir: t.TempDir(), id: [16]byte{9}, vw: sealtest.New(), own: sealtest.New(), now: start}
	for range 2 { // the second time it is there already
		if err := store.Create(t.Context(), w.dir, w.id, w.options()...); err != nil {
			t.Fatal(err)
		}
	}
	w.open(store.MustExist())
	w.customer("+15551234567")
}

func TestOpenStoreIsLocked(t *testing.T) {
	w := newWorld(t)
	second := &world{t: t, dir: w.dir, server: w.server, id: w.id, vw: w.vw, own: w.own, now: start}
	_, err := second.tryOpen()
	wantIs(t, err, store.ErrLocked)
	w.close()
	second.open()
}

func TestStoreOfANewerVersionIsRefused(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.close()
	w.sql(`PRAGMA user_version = 99`)
	_, err := w.tryOpen()
	wantIs(t, err, store.ErrNewer)
}

func TestDamagedDatabaseIsSaid(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.close()
	if err := os.WriteFile(filepath.Join(w.dir, "relay.db"), []byte("this was a database once, and then it was not"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := w.tryOpen()
	wantIs(t, err, store.ErrDamaged)
}

func TestStoreOpensOnlyWithTheVaultUnlessItIsReadyToServe(t *testing.T) {
	away := errors.New("away")
	w := newWorld(t)
	w.close()
	w.vw.SetAway(away)
	_, err := w.tryOpen()
	wantIs(t, err, away)
	w.vw.SetAway(nil)
	w.open()
}

func TestRunningStoreUsesItsEpochFurtherWhileTheVaultIsAway(t *testing.T) {
	away := errors.New("away")
	w := newWorld(t)
	c := w.customer("+15551234567")
	w.vw.SetAway(away)
	w.now = start.Add(40 * time.Hour)
	wantIs(t, w.Advance(t.Context()), away)
	id := w.message(c, "written meanwhile")
	w.vw.SetAway(nil)
	w.pass(0)
	w.message(c, "written after")
	erase(w.vw, 1)
	w.reopen()
	w.view(func(tx *store.Tx) error {
		_, err := tx.Message(id)
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

func TestClosedStoreRefuses(t *testing.T) {
	w := newWorld(t)
	w.close()
	wantIs(t, w.Update(t.Context(), func(*store.Tx) error { return nil }), store.ErrClosed)
	wantIs(t, w.View(t.Context(), func(*store.Tx) error { return nil }), store.ErrClosed)
	if err := w.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestInvalidWritesAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	big := make([]byte, store.MaxBody+1)
	for name, write := range map[string]func(*store.Tx) error{
		"customer without number": func(tx *store.Tx) error { return tx.PutCustomer(&store.Customer{}) },
		"device 0":                func(tx *store.Tx) error { return tx.PutDevice(c, store.Device{}) },
		"empty record":            func(tx *store.Tx) error { return tx.PutRecord(c, 1, nil) },
		"huge record":             func(tx *store.Tx) error { return tx.PutRecord(c, 1, big) },
		"pre-key 0":               func(tx *store.Tx) error { return tx.PutPreKey(store.Key{Data: []byte{1}}) },
		"message without ID":      func(tx *store.Tx) error { return tx.PutMessage(store.Message{Customer: c}) },
		"huge message": func(tx *store.Tx) error {
			return tx.PutMessage(store.Message{ID: "m", State: "s", Direction: store.Inbound, Customer: c, Created: start, Body: big})
		},
		"job without queue": func(tx *store.Tx) error { _, err := tx.Enqueue(store.Job{NotBefore: start}); return err },
		"job without time":  func(tx *store.Tx) error { _, err := tx.Enqueue(store.Job{Queue: "q"}); return err },
		"nameless setting":  func(tx *store.Tx) error { return tx.PutSetting("", []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) { wantIs(t, w.Update(t.Context(), write), store.ErrInvalid) })
	}
	for name, write := range map[string]func(*store.Tx) error{
		"device": func(tx *store.Tx) error { return tx.PutDevice(7, store.Device{ID: 1}) },
		"record": func(tx *store.Tx) error { return tx.PutRecord(7, 1, []byte{1}) },
		"job": func(tx *store.Tx) error {
			_, err := tx.Enqueue(store.Job{Queue: "q", NotBefore: start, Customer: 7})
			return err
		},
		"message": func(tx *store.Tx) error {
			return tx.PutMessage(store.Message{ID: "m", State: "s", Direction: store.Inbound, Customer: 7, Created: start})
		},
	} {
		t.Run(name+" of nobody", func(t *testing.T) { wantIs(t, w.Update(t.Context(), write), store.ErrNotFound) })
	}
}

func TestViewCannotWrite(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	for name, write := range map[string]func(*store.Tx) error{
		"customer": func(tx *store.Tx) error { return tx.PutCustomer(&store.Customer{Number: number(t, "+15550000000")}) },
		"device":   func(tx *store.Tx) error { return tx.PutDevice(c, store.Device{ID: 1}) },
		"job":      func(tx *store.Tx) error { _, err := tx.Enqueue(store.Job{Queue: "q", NotBefore: start}); return err },
		"finish":   func(tx *store.Tx) error { return tx.Finish(1) },
		"seen":     func(tx *store.Tx) error { _, err := tx.SeenCiphertext([32]byte{}); return err },
	} {
		t.Run(name, func(t *testing.T) { wantIs(t, w.View(t.Context(), write), store.ErrReadOnly) })
	}
}

func TestTransactionEndsWithItsFunction(t *testing.T) {
	w := newWorld(t)
	var kept *store.Tx
	w.update(func(tx *store.Tx) error { kept = tx; return nil })
	if err := kept.PutSetting("a", []byte{1}); err == nil {
		t.Error("an update's transaction can be used after its end")
	}
	w.view(func(tx *store.Tx) error { kept = tx; return nil })
	if _, err := kept.Setting("a"); err == nil {
		t.Error("a view's transaction can be used after its end")
	}
}

func TestErrorsOfTheKeyringAreThoseOfSeal(t *testing.T) {
	w := newWorld(t)
	w.keys.Close()
	err := w.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCustomer(&store.Customer{Number: number(t, "+15551234567")}) })
	wantIs(t, err, seal.ErrNoEpoch)
}
