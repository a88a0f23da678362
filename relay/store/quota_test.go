package store_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// one stores texts of 64 KiB of one customer until one is refused.
func (w *world) one(from int, n phone.Number) (ids []string, err error) {
	w.t.Helper()
	for i := from; i < from+1000; i++ {
		id := "wamid.one" + strconv.Itoa(i)
		if err := w.Update(w.t.Context(), func(tx *store.Tx) error { return putText(tx, id, n) }); err != nil {
			return ids, err
		}
		ids = append(ids, id)
	}
	w.t.Fatal("1000 texts of 64 KiB fit into 24 MB")
	return nil, nil
}

// share is how many texts of 64 KiB fit into one customer's share of 24 MB, about.
const share = (24 << 20) / 8 / textSize

func near(n int) bool { return n >= share-6 && n <= share }

func TestQuota_OneCustomerTakesAnEighthOfTheVolume(t *testing.T) {
	onVolume(t, func(t *testing.T, w *world) {
		one := fullNumber(1)
		ids, err := w.one(0, one)
		if !errors.Is(err, store.ErrQuota) || !near(len(ids)) {
			t.Fatalf("%d texts of one customer were taken, then %v; want about %d and ErrQuota", len(ids), err, share)
		}
		w.reopen()
		if more, err := w.one(100, one); len(more) > 0 || !errors.Is(err, store.ErrQuota) {
			t.Errorf("after a restart %d more were taken, then %v", len(more), err)
		}
		if w.Full() {
			t.Error("the volume is full")
		}
		others, err := w.one(200, fullNumber(2))
		if !errors.Is(err, store.ErrQuota) || !near(len(others)) {
			t.Errorf("%d texts of another customer were taken, then %v", len(others), err)
		}
		w.has(append(ids, others...))
		if err := w.erase(one); err != nil {
			t.Fatal(err)
		}
		if again, err := w.one(400, one); !errors.Is(err, store.ErrQuota) || !near(len(again)) {
			t.Errorf("after their erasure %d were taken, then %v", len(again), err)
		}
		if _, err := w.Sweep(t.Context(), start.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		w.pass(24 * time.Hour)
		if again, err := w.one(600, one); !errors.Is(err, store.ErrQuota) || !near(len(again)) {
			t.Errorf("after a sweep %d were taken, then %v", len(again), err)
		}
	})
}

// What is counted as it goes is what a count from the start finds.
func TestQuota_JobsAndFilesCountUntilTheyGo(t *testing.T) {
	onVolume(t, func(t *testing.T, w *world) {
		one := fullNumber(1)
		var c store.Customer
		if _, err := w.one(0, one); !errors.Is(err, store.ErrQuota) {
			t.Fatal(err)
		}
		w.view(func(tx *store.Tx) (err error) {
			c, err = tx.Customer(one)
			return err
		})
		if err := w.DeleteMedia(t.Context(), store.NewMediaID()); err != nil { // has all be counted again
			t.Fatal(err)
		}
		put := func(fn func(tx *store.Tx) error) error { return w.Update(t.Context(), fn) }
		file := store.NewMediaID()
		if err := put(func(tx *store.Tx) error { return tx.BeginMedia(file, c.ID, start) }); err != nil {
			t.Fatal(err)
		}
		chunk := func(id string, place int64) error {
			return put(func(tx *store.Tx) error { return tx.PutMediaChunk(id, place, make([]byte, store.MediaChunk)) })
		}
		if err := chunk(file, 0); !errors.Is(err, store.ErrQuota) {
			t.Errorf("a piece of a file: %v, want ErrQuota", err)
		}
		nobodys := store.NewMediaID()
		if err := put(func(tx *store.Tx) error { return tx.BeginMedia(nobodys, 0, start) }); err != nil {
			t.Fatal(err)
		}
		if err := chunk(nobodys, 0); err != nil {
			t.Errorf("a piece of a file that is nobody's: %v", err)
		}
		var job int64
		queue := func(tx *store.Tx) (err error) { // what was taken goes on
			job, err = tx.Enqueue(store.Job{Queue: "outbox", Customer: c.ID, NotBefore: start, Body: make([]byte, 2*textSize)})
			return err
		}
		if err := put(queue); err != nil {
			t.Fatal(err)
		}
		quota := func(tx *store.Tx) error { return tx.Quota(c.ID) }
		if err := put(quota); !errors.Is(err, store.ErrQuota) {
			t.Errorf("with a large job: %v, want ErrQuota", err)
		}
		if err := put(func(tx *store.Tx) error { return tx.Finish(job) }); err != nil {
			t.Fatal(err)
		}
		if err := put(quota); err != nil {
			t.Errorf("without it: %v", err)
		}
		w.reopen()
		if err := put(quota); err != nil {
			t.Errorf("counted from the start: %v", err)
		}
	})
}

// What was owed is written, and a refused update leaves the count as it was.
func TestQuota_WhatIsOwedIsWritten(t *testing.T) {
	onVolume(t, func(t *testing.T, w *world) {
		one := fullNumber(1)
		ids, err := w.one(0, one)
		if !errors.Is(err, store.ErrQuota) {
			t.Fatal(err)
		}
		for range 10 {
			if more, _ := w.one(500, one); len(more) > 0 {
				t.Fatal("a refused text made room")
			}
		}
		w.update(func(tx *store.Tx) error {
			tx.Owed()
			return putText(tx, "wamid.owed", one)
		})
		w.has(append(ids, "wamid.owed"))
		err = w.Update(t.Context(), func(tx *store.Tx) error { return putText(tx, "wamid.more", one) })
		if !errors.Is(err, store.ErrQuota) {
			t.Errorf("the next: %v, want ErrQuota", err)
		}
	})
}
