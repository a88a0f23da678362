package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
)

// moved is a wrapper whose key has another place than when a data key of former was
// wrapped: it still unwraps those.
type moved struct {
	*sealtest.Wrapper
	former *sealtest.Wrapper
}

func (m moved) Unwrap(ctx context.Context, wrapped string) ([]byte, error) {
	if m.Outdated(wrapped) {
		return m.former.Unwrap(ctx, wrapped)
	}
	return m.Wrapper.Unwrap(ctx, wrapped)
}

func (m moved) Outdated(wrapped string) bool {
	return slices.Contains(m.former.Names(), wrapped)
}

func (w *world) openMoved(m moved) error {
	w.t.Helper()
	w.keys = seal.New(w.vw, seal.Period(30*day), func() time.Time { return w.now })
	s, err := store.Open(w.t.Context(), w.dir, w.id, w.keys, w.options(store.MustExist(), store.SettingsKey(m))...)
	if err == nil {
		w.Store = s
		w.t.Cleanup(func() { _ = s.Close() })
	}
	return err
}

// settled is a world with settings and ratchets whose store is closed.
func settled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.ratchets()
	w.update(func(tx *store.Tx) error {
		for i := range 20 {
			if err := tx.PutSetting(fmt.Sprint("setting", i), []byte(strings.Repeat("v", i+1))); err != nil {
				return err
			}
		}
		return nil
	})
	w.close()
	return w
}

func (w *world) wantSettled() {
	w.t.Helper()
	if w.Tampered() || w.Restored() {
		w.t.Error("the store counts as tampered with or restored")
	}
	w.view(func(tx *store.Tx) error {
		for i := range 20 {
			value, err := tx.Setting(fmt.Sprint("setting", i))
			if err != nil {
				return err
			}
			equal(w.t, "a setting", string(value), strings.Repeat("v", i+1))
		}
		return nil
	})
}

func TestSettingsWhoseKeyHasAnotherPlaceAreSealedUnderItOnce(t *testing.T) {
	w := settled(t)
	m := moved{sealtest.New(), w.own}
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.wantSettled()
	if got := w.count("settings_keys"); got != 1 {
		t.Errorf("%d keys of the settings are kept", got)
	}
	w.update(func(tx *store.Tx) error { return tx.PutPreKey(store.Key{ID: 9, Data: []byte("nine"), Created: w.now}) })
	w.close()
	erase(w.own, 1) // nothing needs the former place any more
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.wantSettled()
	if got := len(m.Names()); got != 1 {
		t.Errorf("%d data keys were asked for in the new place", got)
	}
}

func TestMoveOfSettingsThatFailsIsMadeByTheNextOpen(t *testing.T) {
	ofFiles(t)
	w := settled(t)
	m := moved{sealtest.New(), w.own}
	w.sql(`CREATE TRIGGER cut BEFORE DELETE ON settings_keys BEGIN SELECT RAISE(ABORT, 'cut'); END`)
	if err := w.openMoved(m); err == nil {
		t.Fatal("a move that was cut is taken for done")
	}
	w.sql(`DROP TRIGGER cut`)
	m.SetAway(errors.New("away"))
	if err := w.openMoved(m); err == nil {
		t.Fatal("the store opens though the new place cannot be reached")
	}
	m.SetAway(nil)
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.wantSettled()
}

// A new sum over rows that do not go with the former one would hide that.
func TestMoveOfSettingsHidesNoTampering(t *testing.T) {
	w := settled(t)
	w.sql(`DELETE FROM sessions WHERE id = 1`)
	m := moved{sealtest.New(), w.own}
	for range 2 {
		if err := w.openMoved(m); err != nil {
			t.Fatal(err)
		}
		if !w.Tampered() {
			t.Fatal("a session that was taken away is not seen")
		}
		w.close()
	}
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	if err := w.DropRatchets(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	w.close()
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.wantSettled()
	w.close()
	erase(w.own, 1)
	if err := w.openMoved(m); err != nil {
		t.Fatalf("after the ratchets were dropped the settings were not moved: %v", err)
	}
}

func TestSettingThatCannotBeOpenedPutsTheMoveOff(t *testing.T) {
	w := settled(t)
	w.sql(`UPDATE settings SET sealed = randomblob(60) WHERE name = 'setting3'`)
	m := moved{sealtest.New(), w.own}
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.view(func(tx *store.Tx) error {
		value, err := tx.Setting("setting4")
		equal(t, "another setting", string(value), "vvvvv")
		return err
	})
	w.update(func(tx *store.Tx) error { return tx.PutSetting("setting3", []byte("vvvv")) })
	w.close()
	if err := w.openMoved(m); err != nil {
		t.Fatal(err)
	}
	w.wantSettled()
	if got := w.count("settings_keys"); got != 1 {
		t.Errorf("%d keys of the settings are kept", got)
	}
}
