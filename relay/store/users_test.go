package store_test

import (
	"encoding/binary"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// beforeUsers are the statements that make a store one of before user ids, and what came later, apart from its version.
var beforeUsers = []string{`DROP TABLE log_entries`, `DROP TABLE log_hashes`, `DROP TABLE meter_days`, `DROP TABLE meter_hours`, `DROP TABLE requests`, `DROP TABLE counts`, `DROP INDEX customers_user`, `ALTER TABLE customers DROP COLUMN user`}

var userID = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9]{1,128}$`)

// user returns a customer's user id.
func (w *world) user(id store.CustomerID) (user string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		c, err := tx.CustomerByID(id)
		user = c.UserID
		return err
	})
	return user
}

func TestUserID_IsStableAndFindsItsCustomer(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.customer("+15551234567"), w.customer("+4930123456")
	user := w.user(ada)
	if !userID.MatchString(user) || !strings.HasPrefix(user, "US.") || strings.Contains(user, "5551234567") {
		t.Errorf("the user id is %q", user)
	}
	if other := w.user(bob); other == user || !strings.HasPrefix(other, "DE.") {
		t.Errorf("the other's user id is %q", other)
	}
	w.update(func(tx *store.Tx) error { // who does not know it does not change it
		return tx.PutCustomer(&store.Customer{ID: ada, Number: number(t, "+15551234567"), Name: "Grace"})
	})
	w.reopen()
	w.pass(20 * 24 * time.Hour) // into another epoch
	w.view(func(tx *store.Tx) error {
		c, err := tx.CustomerByUser(user)
		equal(t, "who it is", c.ID, ada)
		equal(t, "name", c.Name, "Grace")
		return err
	})
	w.update(func(tx *store.Tx) error { // and moves
		c, err := tx.CustomerByUser(user)
		equal(t, "the user id", c.UserID, user)
		return err
	})
	equal(t, "the user id in another epoch", w.user(ada), user)
	w.view(func(tx *store.Tx) error {
		_, err := tx.CustomerByUser("US.another")
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

func TestUserID_IsSealed(t *testing.T) {
	w := newWorld(t)
	user := w.user(w.customer("+15551234567"))
	w.query(func(scan func(...any) error) error {
		var lookup, found, sealed []byte
		if err := scan(&lookup, &found, &sealed); err != nil {
			return err
		}
		_, random, _ := strings.Cut(user, ".")
		if len(found) != 32 || strings.Contains(string(found)+string(sealed)+string(lookup), random) {
			t.Error("the user id can be read without a key")
		}
		return nil
	}, `SELECT lookup, user, sealed FROM customers`)
}

func TestUserID_DiesWithItsCustomer(t *testing.T) {
	for name, end := range map[string]func(*world, store.CustomerID){
		"silence": func(w *world, _ store.CustomerID) {
			w.pass(31 * 24 * time.Hour)
			if _, err := w.Sweep(w.t.Context(), w.now.Add(-30*24*time.Hour)); err != nil {
				w.t.Fatal(err)
			}
		},
		"erasure": func(w *world, id store.CustomerID) {
			w.update(func(tx *store.Tx) error { return tx.EraseCustomer(id) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.customer("+15551234567")
			user := w.user(id)
			end(w, id)
			w.view(func(tx *store.Tx) error {
				_, err := tx.CustomerByUser(user)
				wantIs(t, err, store.ErrNotFound)
				return nil
			})
			if again := w.user(w.customer("+15551234567")); again == user {
				t.Error("the same person has the former user id")
			}
		})
	}
}

func TestUserID_OfNobodysCountryHasTheRegions(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.open(store.Country("CH"))
	anna, err := phone.ParseName("anna")
	if err != nil {
		t.Fatal(err)
	}
	c := store.Customer{Number: anna}
	w.update(func(tx *store.Tx) error { return tx.PutCustomer(&c) })
	if !strings.HasPrefix(c.UserID, "CH.") {
		t.Errorf("the user id is %q", c.UserID)
	}
	w.reopen()
	w.view(func(tx *store.Tx) error {
		got, err := tx.Customer(anna)
		equal(t, "the customer", got, c)
		return err
	})
	if user := w.user(w.customer("+80012345678")); !strings.HasPrefix(user, "ZZ.") {
		t.Errorf("without a region's country the user id is %q", user)
	}
}

// TestUserID_OfAFormerStoreIsMadeOnFirstNeed opens a store as the build before user ids left it.
func TestUserID_OfAFormerStoreIsMadeOnFirstNeed(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	id := w.customer("+15551234567")
	w.formerCustomer(id, "15551234567", "Ada")
	w.reopened(func() { w.sql(append(beforeUsers, `PRAGMA user_version = 7`)...) })
	w.view(func(tx *store.Tx) error {
		c, err := tx.CustomerByID(id)
		equal(t, "name", c.Name, "Ada")
		equal(t, "user id in a view", c.UserID, "")
		return err
	})
	user := w.user(id)
	if !userID.MatchString(user) {
		t.Fatalf("the user id is %q", user)
	}
	w.reopen()
	w.view(func(tx *store.Tx) error {
		c, err := tx.CustomerByUser(user)
		equal(t, "who it is", c.ID, id)
		equal(t, "number", c.Number, number(t, "+15551234567"))
		return err
	})
}

// formerCustomer rewrites a customer's row as the build before user ids wrote it.
func (w *world) formerCustomer(id store.CustomerID, digits, name string) {
	w.t.Helper()
	plain := []byte{1}
	text := func(s string) { plain = append(binary.AppendUvarint(plain, uint64(len(s))), s...) }
	text(digits)
	text(name)
	for range 5 {
		plain = binary.BigEndian.AppendUint64(plain, 0)
	}
	text("")
	epoch, sealed, err := w.keys.Seal("customer", binary.BigEndian.AppendUint64(nil, uint64(id)), plain)
	if err != nil {
		w.t.Fatal(err)
	}
	w.exec(`UPDATE customers SET epoch = ?, user = NULL, sealed = ? WHERE id = ?`, epoch, sealed, int64(id))
}

func TestUserID_OfAnotherRowIsSeen(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.customer("+15551234567"), w.customer("+15551234568")
	user := w.user(ada)
	w.user(bob)
	w.exec(`UPDATE customers SET user = (SELECT user FROM customers WHERE id = ?) WHERE id = ?`, int64(ada), int64(bob))
	w.exec(`UPDATE customers SET user = NULL WHERE id = ?`, int64(ada))
	w.view(func(tx *store.Tx) error {
		_, err := tx.CustomerByUser(user)
		wantIs(t, err, seal.ErrTampered)
		return nil
	})
}
