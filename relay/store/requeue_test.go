package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

func TestRequeue_KeepsTheJobsIDTimeAndEnd(t *testing.T) {
	w := newWorld(t)
	var id int64
	w.update(func(tx *store.Tx) (err error) {
		id, err = tx.Enqueue(store.Job{Queue: "webhook", Message: "wamid.A", NotBefore: w.now, Body: []byte("before")})
		return err
	})
	w.pass(8 * 24 * time.Hour) // into another epoch
	moved := store.Job{ID: id, Queue: "dead-letters", NotBefore: w.now, Attempts: 3, Body: []byte("after"), Message: "wamid.B", Created: w.now}
	w.update(func(tx *store.Tx) error { return tx.Requeue("webhook", moved) })
	w.reopen()
	w.update(func(tx *store.Tx) error {
		if _, err := tx.JobOf("webhook", id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("in its former queue: %v", err)
		}
		j, err := tx.JobOf("dead-letters", id)
		if err != nil || string(j.Body) != "after" || j.Attempts != 3 || !j.NotBefore.Equal(w.now) || !j.Created.Equal(start) || j.Message != "wamid.A" {
			t.Errorf("moved: %+v, %v", j, err)
		}
		if err := tx.Requeue("webhook", moved); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("once more from the former queue: %v", err)
		}
		if err := tx.Postpone("webhook", id, w.now.Add(time.Hour), 4); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("postponing it in the former queue: %v", err)
		}
		if err := tx.Requeue("dead-letters", store.Job{ID: id, NotBefore: w.now}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("into no queue: %v", err)
		}
		return nil
	})
	erase(w.vw, 1) // the key of the epoch in which it was queued
	if _, err := w.keys.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := w.View(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.JobOf("dead-letters", id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("once its epoch's key is destroyed: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
