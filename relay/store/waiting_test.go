package store_test

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

func TestQueued_IsHowManyAndSinceWhen(t *testing.T) {
	w := newWorld(t)
	want := func(queue string, n int64, oldest time.Time) {
		t.Helper()
		w.view(func(tx *store.Tx) error {
			got, since, err := tx.Queued(queue)
			if got != n || !since.Equal(oldest) {
				t.Errorf("%d jobs are in %s since %v, want %d since %v", got, queue, since, n, oldest)
			}
			return err
		})
	}
	want("webhook", 0, time.Time{})
	var first int64
	w.update(func(tx *store.Tx) (err error) {
		first, err = tx.Enqueue(store.Job{Queue: "webhook", NotBefore: start, Body: []byte("first")})
		return err
	})
	w.pass(time.Hour)
	w.update(func(tx *store.Tx) error {
		if _, err := tx.Enqueue(store.Job{Queue: "webhook", NotBefore: w.now, Body: []byte("second")}); err != nil {
			return err
		}
		_, err := tx.Enqueue(store.Job{Queue: "media", NotBefore: w.now, Body: []byte("another queue's")})
		return err
	})
	w.update(func(tx *store.Tx) error { return tx.Postpone("webhook", first, w.now.Add(time.Hour), 3) })
	want("webhook", 2, start) // whenever it is tried again
	want("media", 1, w.now)
	w.update(func(tx *store.Tx) error { return tx.Finish(first) })
	want("webhook", 1, w.now)
}

func TestSignedPreKey_TellsWhenTheNewestWasMade(t *testing.T) {
	w := newWorld(t)
	want := func(made time.Time) {
		t.Helper()
		w.view(func(tx *store.Tx) error {
			got, err := tx.SignedPreKeyCreated()
			if !got.Equal(made) {
				t.Errorf("it was made %v, want %v", got, made)
			}
			return err
		})
	}
	want(time.Time{})
	w.oneTimeKeys(1)
	want(start)
	w.pass(time.Hour)
	w.update(func(tx *store.Tx) error {
		if err := tx.PutPreKey(store.Key{ID: 2, Data: []byte("a later one-time key"), Created: w.now.Add(time.Minute)}); err != nil {
			return err
		}
		return tx.PutSignedPreKey(store.Key{ID: 2, Data: []byte("signed"), Created: w.now})
	})
	want(w.now)
}

func TestRoom_ShrinksByWhatIsWritten(t *testing.T) {
	w := newWorld(t)
	before, err := w.Room(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		for range 64 {
			if _, err := tx.Enqueue(store.Job{Queue: "webhook", NotBefore: w.now, Body: make([]byte, 32<<10)}); err != nil {
				return err
			}
		}
		return nil
	})
	after, err := w.Room(t.Context())
	if err != nil || after.Used-before.Used < 1<<20 || after.Limit != before.Limit || after.Free < 0 {
		t.Errorf("the room was %+v and is %+v, %v", before, after, err)
	}
}
