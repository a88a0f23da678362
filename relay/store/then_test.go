package store_test

import (
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store"
)

func TestThen_IsCalledOnceTheUpdateIsDurableAndNotIfItFails(t *testing.T) {
	w := newWorld(t)
	var called []string // in the writer's goroutine, of which each update waits
	change := func(name string, fails error) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			tx.Then(func() { called = append(called, name) })
			if err := tx.PutSetting(name, []byte("x")); err != nil {
				return err
			}
			return fails
		}
	}
	w.update(change("stored", nil))
	failed := errors.New("no")
	wantIs(t, w.Update(t.Context(), change("failed", failed)), failed)
	if err := w.Shrink(t.Context(), change("shrunk", nil)); err != nil {
		t.Fatal(err)
	}
	equal(t, "called", called, []string{"stored", "shrunk"})
	w.close()
	wantIs(t, w.Update(t.Context(), change("closed", nil)), store.ErrClosed)
	equal(t, "called", len(called), 2)
}
