package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

func request(key string, body byte) store.Once { return store.Once{Key: key, Body: [32]byte{body}} }

// answers does a request and returns its answer.
func (w *world) answers(o store.Once, answer string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error { return tx.Answer(o, answer, w.now) })
}

// answered is what a request was answered with.
func (w *world) answered(o store.Once) (answer string, err error) {
	w.t.Helper()
	_ = w.View(w.t.Context(), func(tx *store.Tx) error {
		answer, err = tx.Answered(o, w.now)
		return nil
	})
	return answer, err
}

func TestRequest_IsRememberedForADay(t *testing.T) {
	w := newWorld(t)
	if _, err := w.answered(request("k", 1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	w.answers(request("k", 1), "wamid.A")
	w.answers(request("l", 1), "")
	for _, step := range []func(){func() {}, w.reopen, func() { w.pass(23 * time.Hour) }, w.reopen} { // across an epoch's end
		step()
		if got, err := w.answered(request("k", 1)); err != nil || got != "wamid.A" {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := w.answered(request("l", 1)); err != nil || got != "" {
			t.Errorf("of another key %q, %v", got, err)
		}
		if _, err := w.answered(request("k", 2)); !errors.Is(err, store.ErrOtherBody) {
			t.Errorf("with another body: %v", err)
		}
	}
	w.pass(time.Hour + time.Second)
	if _, err := w.answered(request("k", 2)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a day: %v", err)
	}
	w.answers(request("k", 2), "wamid.B")
	if got, err := w.answered(request("k", 2)); err != nil || got != "wamid.B" {
		t.Errorf("done again: %q, %v", got, err)
	}
}

func TestRequest_DiesWithItsEpoch(t *testing.T) {
	w := newWorld(t)
	w.answers(request("k", 1), "wamid.A")
	erase(w.vw, 1)
	if _, err := w.keys.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.answered(request("k", 1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("once its key is destroyed: %v", err)
	}
}

func TestRequest_WithoutAKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	err := w.Update(t.Context(), func(tx *store.Tx) error { return tx.Answer(store.Once{}, "wamid.A", w.now) })
	if !errors.Is(err, store.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}
