package store_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
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
	racing.SkipExhaustive(t)
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
		w.reopen() // has all be counted again
		put := func(fn func(tx *store.Tx) error) error { return w.Update(t.Context(), fn) }
		file := store.NewMediaID()
		if err := put(func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: file, Created: start}, c.ID) }); err != nil {
			t.Fatal(err)
		}
		chunk := func(id string, place int64) error {
			return put(func(tx *store.Tx) error { return tx.PutMediaChunk(id, place, make([]byte, store.MediaChunk)) })
		}
		if err := chunk(file, 0); !errors.Is(err, store.ErrQuota) {
			t.Errorf("a piece of a file: %v, want ErrQuota", err)
		}
		nobodys := store.NewMediaID()
		if err := put(func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: nobodys, Created: start}, 0) }); err != nil {
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

// wantSameCount looks whether what a customer uses, as it was counted as it came and went,
// is what a count from the start finds.
func (w *world) wantSameCount(c store.CustomerID) {
	w.t.Helper()
	room := func() (n int) { // for how many jobs until the quota is reached
		_ = w.Update(w.t.Context(), func(tx *store.Tx) error {
			for ; tx.Quota(c) == nil && n < 1<<14; n++ {
				if _, err := tx.Enqueue(store.Job{Queue: "q", Customer: c, NotBefore: start}); err != nil {
					w.t.Error(err)
				}
			}
			return errors.New("undone")
		})
		return n
	}
	before := room()
	w.reopen()
	if after := room(); before != after || after == 0 || after == 1<<14 {
		w.t.Errorf("there is room for %d jobs more, and counted from the start for %d", before, after)
	}
}

// beside puts a file into the volume that is nobody's and makes its customers' shares count.
func (w *world) beside() {
	w.t.Helper()
	id := store.NewMediaID()
	w.update(func(tx *store.Tx) error { return tx.BeginMedia(store.Media{ID: id, Created: start.Add(time.Hour)}, 0) })
	for place := range int64(32) {
		w.update(func(tx *store.Tx) error { return tx.PutMediaChunk(id, place, make([]byte, store.MediaChunk)) })
	}
	w.update(func(tx *store.Tx) error { return tx.FinishMedia(store.Media{ID: id, Size: 32 * store.MediaChunk}) })
}

// greedy fills a customer's share with texts, files and a job.
func (w *world) greedy(n phone.Number, files ...string) (id store.CustomerID) {
	w.t.Helper()
	if _, err := w.one(0, n); !errors.Is(err, store.ErrQuota) {
		w.t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		tx.Owed()
		c, err := tx.Customer(n)
		if err != nil {
			return err
		}
		id = c.ID
		for _, file := range files {
			err = errors.Join(err, tx.BeginMedia(store.Media{ID: file, Created: start}, id), tx.PutMediaChunk(file, 0, make([]byte, store.MediaChunk)),
				tx.FinishMedia(store.Media{ID: file, Size: store.MediaChunk}))
		}
		_, failed := tx.Enqueue(store.Job{Queue: "q", Customer: id, NotBefore: start, Body: make([]byte, textSize)})
		return errors.Join(err, failed)
	})
	return id
}

// Counting takes as long as a customer has rows, and everybody waits for it: so a deletion
// must not have it begun again, as a customer's bad files are deleted.
func TestQuota_ADeletionHasNobodyCountedAgain(t *testing.T) {
	onVolume(t, func(t *testing.T, w *world) {
		w.beside()
		one, file := fullNumber(1), store.NewMediaID()
		w.greedy(one, file)
		w.sql(`UPDATE messages SET sealed = zeroblob(10)`) // a count would find that
		if err := w.DeleteMedia(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		err := w.Update(t.Context(), func(tx *store.Tx) error { return putText(tx, "wamid.more", one) })
		if !errors.Is(err, store.ErrQuota) {
			t.Errorf("after a file was deleted the customer was counted again: %v", err)
		}
	})
}

func TestQuota_WhatIsDeletedIsCountedAsItGoes(t *testing.T) {
	racing.SkipExhaustive(t)
	for name, remove := range map[string]func(*world, store.CustomerID, [2]string) error{
		"files": func(w *world, _ store.CustomerID, files [2]string) error {
			if err := w.DeleteMedia(w.t.Context(), files[0]); err != nil {
				return err
			}
			return w.Update(w.t.Context(), func(tx *store.Tx) error {
				_, err := tx.DeleteMedia(files[1])
				return err
			})
		},
		"an erasure's step": func(w *world, c store.CustomerID, _ [2]string) error {
			return w.Shrink(w.t.Context(), func(tx *store.Tx) error {
				_, err := tx.EraseSome(c)
				return err
			})
		},
		"a sweep": func(w *world, _ store.CustomerID, _ [2]string) error {
			for _, table := range []string{"messages", "jobs", "media"} { // older than their epoch
				w.sql(`UPDATE ` + table + ` SET created = created - 3600000 WHERE rowid % 2 = 0`)
			}
			_, err := w.Sweep(w.t.Context(), start.Add(-time.Minute))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onVolume(t, func(t *testing.T, w *world) {
				w.beside()
				files := [2]string{store.NewMediaID(), store.NewMediaID()}
				c := w.greedy(fullNumber(1), files[:]...)
				if err := remove(w, c, files); err != nil {
					t.Fatal(err)
				}
				if name == "files" { // what was owed is more than they took
					w.update(func(tx *store.Tx) error {
						_, err := tx.EraseSome(c)
						return err
					})
				}
				w.wantSameCount(c)
			})
		})
	}
}
