package store_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

const day = 24 * time.Hour

// count returns how many rows a table has, read beside the store.
func (w *world) count(table string) (n int) {
	w.t.Helper()
	w.query(func(scan func(...any) error) error { return scan(&n) }, "SELECT count(*) FROM "+table)
	return n
}

func TestEpoch_IdleDataDiesAndUsedDataLivesOn(t *testing.T) {
	w := newWorld(t)
	idle, active := w.customer("+15551234567"), w.customer("+15551234568")
	for _, c := range []store.CustomerID{idle, active} {
		w.update(func(tx *store.Tx) error {
			if err := tx.PutDevice(c, store.Device{ID: 5, Active: true}); err != nil {
				return err
			}
			return tx.PutRecord(c, 5, []byte("record"))
		})
	}
	old := w.message(active, "old")
	w.update(func(tx *store.Tx) error {
		if err := tx.PutPreKey(store.Key{ID: 3, Data: []byte("pre-key")}); err != nil {
			return err
		}
		return tx.PutSetting("initialized", []byte("yes"))
	})
	w.pass(day)
	w.update(func(tx *store.Tx) error { return tx.PutRecord(active, 5, []byte("newer record")) })
	erase(w.vw, 1)
	w.reopen()

	w.view(func(tx *store.Tx) error {
		_, err := tx.CustomerByID(idle)
		wantIs(t, err, store.ErrNotFound)
		_, err = tx.Customer(number(t, "+15551234567"))
		wantIs(t, err, store.ErrNotFound)
		record, err := tx.Record(idle, 5)
		equal(t, "the idle one's record", record, []byte(nil))
		if err != nil {
			return err
		}
		_, err = tx.Message(old)
		wantIs(t, err, store.ErrNotFound)

		c, err := tx.Customer(number(t, "+15551234568"))
		equal(t, "the active one", c.ID, active)
		if err != nil {
			return err
		}
		record, err = tx.Record(active, 5)
		equal(t, "the active one's record", string(record), "newer record")
		if err != nil {
			return err
		}
		device, err := tx.Device(active, 5)
		equal(t, "the active one's device", device.Active, true)
		if err != nil {
			return err
		}
		key, err := tx.PreKey(3)
		equal(t, "pre-key", string(key.Data), "pre-key")
		if err != nil {
			return err
		}
		setting, err := tx.Setting("initialized")
		equal(t, "setting", string(setting), "yes")
		return err
	})
	if _, err := w.Sweep(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"customers": 1, "devices": 1, "sessions": 1, "messages": 0, "epochs": 1, "prekeys": 1} {
		equal(t, table, w.count(table), want)
	}
}

func TestMessageDoesNotLiveLongerForBeingChanged(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	id := w.message(c, "hello")
	w.pass(day)
	w.update(func(tx *store.Tx) error {
		if err := tx.SetMessageState(id, "read", w.now); err != nil {
			return err
		}
		return tx.PutMessage(store.Message{
			ID: id, Direction: store.Inbound, Customer: c, Type: "text", Body: []byte("changed"), State: "read", Created: w.now,
		})
	})
	w.view(func(tx *store.Tx) error {
		m, err := tx.Message(id)
		equal(t, "body", string(m.Body), "changed")
		equal(t, "created", m.Created, start)
		return err
	})
	erase(w.vw, 1)
	w.reopen()
	w.view(func(tx *store.Tx) error {
		_, err := tx.Message(id)
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

func TestCustomerLivesAtLeastAsLongAsTheirMessagesAndJobs(t *testing.T) {
	for name, write := range map[string]func(w *world, c store.CustomerID){
		"message": func(w *world, c store.CustomerID) { w.message(c, "later") },
		"job": func(w *world, c store.CustomerID) {
			w.update(func(tx *store.Tx) error {
				_, err := tx.Enqueue(store.Job{Queue: "q", Customer: c, NotBefore: w.now})
				return err
			})
		},
		"device": func(w *world, c store.CustomerID) {
			w.update(func(tx *store.Tx) error { return tx.PutDevice(c, store.Device{ID: 1}) })
		},
		"looking them up in an update": func(w *world, _ store.CustomerID) {
			w.update(func(tx *store.Tx) error { _, err := tx.Customer(number(t, "+15551234567")); return err })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.customer("+15551234567")
			w.pass(day)
			write(w, c)
			erase(w.vw, 1)
			w.reopen()
			w.view(func(tx *store.Tx) error {
				got, err := tx.Customer(number(t, "+15551234567"))
				equal(t, "customer", got.ID, c)
				return err
			})
		})
	}
}

func TestCustomersOfManyEpochsAreFound(t *testing.T) {
	w := newWorld(t)
	var numbers []string
	for i := range 30 {
		n := fmt.Sprintf("+1555123%04d", i)
		w.customer(n)
		numbers = append(numbers, n)
		w.pass(day)
	}
	w.reopen()
	w.view(func(tx *store.Tx) error {
		for _, n := range numbers {
			if _, err := tx.Customer(number(t, n)); err != nil {
				return err
			}
		}
		return nil
	})
	equal(t, "live epochs", len(w.keys.Live()), 31)
}

func TestReceivedByCarrierID_LooksNoFurtherBackThanAsked(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	for i := range 5 {
		w.message(c, fmt.Sprintf("message %d", i))
		w.pass(day)
	}
	found := func(i int, since time.Time) (found bool) {
		w.view(func(tx *store.Tx) error {
			_, err := tx.ReceivedByCarrierID(c, base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "message %d", i)), since)
			if found = err == nil; errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
		return found
	}
	for i := range 5 { // each a day later, under a key of its own
		stored := w.now.Add(-time.Duration(5-i) * day)
		if !found(i, time.Time{}) || !found(i, stored) || !found(i, stored.Add(-10*day)) {
			t.Errorf("message %d is not found", i)
		}
	}
	if found(0, w.now.Add(-time.Hour)) {
		t.Error("keys of former days are tried")
	}
}

// Ids of ours say when they were made, by a clock that may have been wrong.
func TestMessageByCarrierID_FindsOursUnderEachKey(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	var ids []string
	for i := range 5 {
		made := w.now.Add(time.Minute)
		for _, at := range []time.Time{made, made.Add(-1000 * day), made.Add(3 * day), made.Add(1000 * day)} {
			var name [18]byte
			binary.BigEndian.PutUint64(name[:], uint64(at.UnixMilli())<<16)
			name[17] = byte(i)
			id := "k" + base64.RawURLEncoding.EncodeToString(name[:])
			ids = append(ids, id)
			w.update(func(tx *store.Tx) error {
				return tx.PutMessage(store.Message{
					ID: store.NewMessageID(), Direction: store.Outbound, Customer: c, Type: "text", CarrierID: id, State: "sent", Created: w.now,
				})
			})
		}
		w.pass(day)
	}
	for i, id := range ids {
		w.view(func(tx *store.Tx) error {
			m, err := tx.MessageByCarrierID(store.Outbound, id)
			if err == nil && m.CarrierID != id {
				t.Errorf("message %d: another is found", i)
			}
			return err
		})
	}
}

func TestSweepForgetsAndRemovesWhatIsTooOldAndNothingElse(t *testing.T) {
	w := newWorld(t)
	const days = 40
	ids := make([]string, days)
	var c store.CustomerID
	for i := range days {
		c = w.customer(fmt.Sprintf("+1555123%04d", i))
		for range 3 {
			ids[i] = w.message(c, "m")
		}
		w.update(func(tx *store.Tx) error {
			if _, err := tx.SeenCiphertext([32]byte{byte(i), 1}); err != nil {
				return err
			}
			_, err := tx.Enqueue(store.Job{Queue: "q", Customer: c, NotBefore: w.now})
			return err
		})
		w.pass(day)
	}
	before := w.now.Add(-30 * day)
	swept, err := w.Sweep(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	// Day d's epoch opened at day d; those of days 0 to 10 are 30 days old and more.
	equal(t, "swept", swept, store.Swept{Epochs: 11, Messages: 33, Jobs: 11, Others: 22})
	w.view(func(tx *store.Tx) error {
		for i, id := range ids {
			_, err := tx.Message(id)
			if i <= 10 {
				wantIs(t, err, store.ErrNotFound)
			} else if err != nil {
				t.Errorf("day %d: %v", i, err)
			}
		}
		return nil
	})
	again, err := w.Sweep(t.Context(), before)
	equal(t, "swept again", again, store.Swept{})
	if err != nil {
		t.Error(err)
	}
}

func TestSweepOfEverythingLeavesAStoreThatBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.message(w.customer("+15551234567"), "m")
	w.now = w.now.Add(100 * day)
	if _, err := w.Sweep(t.Context(), w.now.Add(-30*day)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"customers", "messages", "jobs", "seen"} {
		equal(t, table, w.count(table), 0)
	}
	w.pass(0)
	c := w.customer("+15551234567")
	w.message(c, "after")
	if _, err := w.Sweep(t.Context(), w.now.Add(-30*day)); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	live := w.keys.Live()
	if len(live) != 1 || live[0].ID != 2 {
		t.Errorf("live epochs are %v: an ID may have been used twice", live)
	}
}

func TestEpoch_ErasedTooEarlyIsBackWithVaultsKey(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	id := w.message(c, "m")
	job := func(body string) {
		w.update(func(tx *store.Tx) error {
			if err := tx.PutPreKey(store.Key{ID: 1, Data: []byte(body)}); err != nil {
				return err
			}
			_, err := tx.Enqueue(store.Job{Queue: "q", NotBefore: w.now, Body: []byte(body)})
			return err
		})
	}
	job("before")
	erase(w.vw, 1)
	w.reopen() // with a key that Vault lost, or that is another's
	w.view(func(tx *store.Tx) error {
		n, err := tx.PreKeyCount()
		equal(t, "pre-keys that can be used", n, 0)
		return err
	})
	job("after")
	if _, err := w.Sweep(t.Context(), w.now.Add(-30*day)); err != nil {
		t.Fatal(err)
	}
	w.view(func(tx *store.Tx) error {
		jobs, err := tx.Due("q", w.now, store.Place{}, 1)
		if err == nil {
			equal(t, "the job behind the unreadable one", string(jobs[0].Body), "after")
		}
		return err
	})
	w.vw.Restore()
	w.reopen()
	w.view(func(tx *store.Tx) error {
		_, err := tx.Message(id)
		return err
	})
}

func TestErasedEpochBetweenLiveOnesLosesItsRowsOnly(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	first := w.message(c, "first")
	w.pass(day)
	second := w.message(c, "second")
	w.pass(day)
	third := w.message(c, "third")
	w.vw.Erase(w.vw.Names()[1])
	w.reopen()
	w.view(func(tx *store.Tx) error {
		_, err := tx.Message(second)
		wantIs(t, err, store.ErrNotFound)
		for _, id := range []string{first, third} {
			if _, err := tx.Message(id); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
}
