package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store"
)

// conversationWith writes a customer with everything that may belong to one.
func (w *world) conversationWith(number string) store.CustomerID {
	w.t.Helper()
	c := w.customer(number)
	w.update(func(tx *store.Tx) error {
		errs := []error{
			tx.PutDevice(c, store.Device{ID: 7, IdentityKey: []byte("key"), Active: true}),
			tx.PutRecord(c, 7, []byte("ratchet")),
		}
		for i := range 5 {
			errs = append(errs, tx.PutMessage(store.Message{
				ID: fmt.Sprintf("wamid.%s.%d", number, i), Direction: store.Direction(1 + i%2), Customer: c, Type: "text",
				Body: []byte("hello"), State: "received", Created: w.now,
			}))
		}
		_, err := tx.Enqueue(store.Job{Queue: "webhook", Customer: c, NotBefore: w.now, Body: []byte("job")})
		return errors.Join(append(errs, err)...)
	})
	return c
}

func TestErasedCustomerIsGoneWithAllThatIsTheirsAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	gone, stays := w.conversationWith("+4930111111"), w.conversationWith("+4930222222")
	var sealed [][]byte
	w.query(func(scan func(...any) error) error {
		var b []byte
		err := scan(&b)
		sealed = append(sealed, b)
		return err
	}, `SELECT sealed FROM messages WHERE customer = ?`, int64(gone))

	w.update(func(tx *store.Tx) error { return tx.EraseCustomer(gone) })
	if err := w.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	for table, column := range map[string]string{"customers": "id", "devices": "customer", "sessions": "customer", "messages": "customer", "jobs": "customer"} {
		for id, want := range map[store.CustomerID]bool{gone: false, stays: true} {
			rows := 0
			w.query(func(scan func(...any) error) error { return scan(&rows) },
				`SELECT count(*) FROM `+table+` WHERE `+column+` = ?`, int64(id))
			if (rows > 0) != want {
				t.Errorf("%s has %d rows of the customer who %v", table, rows, map[bool]string{true: "stays", false: "is erased"}[want])
			}
		}
	}
	w.view(func(tx *store.Tx) error {
		if _, err := tx.Customer(number(t, "+4930111111")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("finding the erased: %v", err)
		}
		return nil
	})
	if w.server != nil {
		return // its files, log and backups are not ours to clean
	}
	for _, file := range []string{"relay.db", "relay.db-wal"} {
		content, err := os.ReadFile(filepath.Join(w.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range sealed {
			if bytes.Contains(content, b) {
				t.Errorf("%s still has a sealed message", file)
			}
		}
	}
	if err := w.Update(t.Context(), func(tx *store.Tx) error { return tx.EraseCustomer(gone) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("erasing again: %v", err)
	}
}

func TestHistoryIsAllOfOneCustomerInPages(t *testing.T) {
	w := newWorld(t)
	c, other := w.conversationWith("+4930111111"), w.conversationWith("+4930222222")
	var got []string
	for after, more := "", true; more; {
		w.view(func(tx *store.Tx) error {
			page, err := tx.History(c, after, 2)
			for _, m := range page {
				got = append(got, m.ID)
				after = m.ID
			}
			more = len(page) == 2
			return err
		})
	}
	if len(got) != 5 || got[0] != "wamid.+4930111111.0" || got[4] != "wamid.+4930111111.4" {
		t.Errorf("got %q", got)
	}
	w.view(func(tx *store.Tx) error {
		if _, err := tx.History(other, got[0], 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after another's message: %v", err)
		}
		return nil
	})
}

func TestMessages_AreReadOnceFromAnyPlaceOn(t *testing.T) {
	w := newWorld(t)
	one := w.conversationWith("+4930111111")
	w.conversationWith("+4930222222")
	count := func(c store.CustomerID, after int64) (ids []string, last int64) {
		w.view(func(tx *store.Tx) (err error) {
			last, err = tx.EachMessage(c, after, func(m store.Message) error {
				if c != 0 && m.Customer != c || string(m.Body) != "hello" {
					t.Errorf("%s is another's", m.ID)
				}
				ids = append(ids, m.ID)
				return nil
			})
			return err
		})
		return ids, last
	}
	all, last := count(0, 0)
	if of, _ := count(one, 0); len(all) != 10 || len(of) != 5 || of[0] != "wamid.+4930111111.0" {
		t.Errorf("there are %q, of one %q", all, of)
	}
	w.conversationWith("+4930333333")
	if more, _ := count(0, last); len(more) != 5 || more[4] != "wamid.+4930333333.4" {
		t.Errorf("then there are %q", more)
	}
	if none, _ := count(one, last); len(none) != 0 {
		t.Errorf("of who wrote nothing there are %q", none)
	}
	w.sql(`UPDATE messages SET state = 'other' WHERE id = 'wamid.+4930111111.0'`)
	if of, _ := count(one, 0); len(of) != 4 {
		t.Errorf("with one damaged there are %q", of)
	}
	enough := errors.New("enough")
	w.view(func(tx *store.Tx) error {
		if _, err := tx.EachMessage(0, 0, func(store.Message) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("stopped by %v", err)
		}
		return nil
	})
}
