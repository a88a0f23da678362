package store

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
)

const (
	purposeCustomer = "customer"
	purposeUser     = "user" // of a user id's HMAC
)

// Customer finds a customer by number, or returns ErrNotFound. In an Update it
// moves the customer into the current epoch.
func (t *Tx) Customer(n phone.Number) (Customer, error) {
	row, err := t.findCustomer(n)
	if err != nil {
		return Customer{}, err
	}
	c, err := t.openCustomer(row)
	if err != nil {
		return Customer{}, err
	}
	if c.Number != n { // the row's lookup was exchanged
		return Customer{}, seal.ErrTampered
	}
	return c, nil
}

// CustomerID is Customer without opening the row, which need not be readable.
func (t *Tx) CustomerID(n phone.Number) (CustomerID, error) {
	row, err := t.findCustomer(n)
	return row.id, err
}

// MendCustomer rewrites a customer's row whose content is damaged. Only the number, by which
// it was found, is left.
func (t *Tx) MendCustomer(n phone.Number) (Customer, error) {
	if err := t.allow(); err != nil {
		return Customer{}, err
	}
	id, err := t.CustomerID(n)
	if err != nil {
		return Customer{}, err
	}
	c := Customer{ID: id, Number: n}
	err = t.writeCustomer(&c)
	return c, err
}

// CustomerByUser finds a customer by user id, or returns ErrNotFound. In an Update it moves the
// customer into the current epoch.
func (t *Tx) CustomerByUser(user string) (Customer, error) {
	row, err := t.lookupCustomer(`SELECT id, epoch, sealed FROM customers WHERE user = ?`, purposeUser, user)
	if err != nil {
		return Customer{}, err
	}
	c, err := t.openCustomer(row)
	if err != nil {
		return Customer{}, err
	}
	if c.UserID != user { // the row's lookup was exchanged
		return Customer{}, seal.ErrTampered
	}
	return c, nil
}

// findCustomer looks up a number.
func (t *Tx) findCustomer(n phone.Number) (sealedCustomer, error) {
	return t.lookupCustomer(`SELECT id, epoch, sealed FROM customers WHERE lookup = ?`, purposeCustomer, n.Key())
}

// lookupCustomer looks up a value by its HMAC in each live epoch, the youngest first, where active
// customers are.
func (t *Tx) lookupCustomer(query, purpose, value string) (sealedCustomer, error) {
	for _, epoch := range t.shared.keys.Live() {
		mac, err := t.shared.keys.Lookup(epoch.ID, purpose, []byte(value))
		if errors.Is(err, seal.ErrErased) {
			continue // forgotten meanwhile
		}
		if err != nil {
			return sealedCustomer{}, err
		}
		if h := t.hot(); h != nil {
			if s := h.found(mac, epoch.ID); s != nil {
				return *s, nil
			}
		}
		var s sealedCustomer
		found, err := t.first(query, s.scan, mac[:])
		s.moved, s.epoch = found && s.epoch != epoch.ID, epoch.ID
		if found && !s.moved && err == nil && t.writes {
			t.hot().foundCustomer(s, mac)
		}
		if found || err != nil {
			return s, err
		}
	}
	return sealedCustomer{}, ErrNotFound
}

// CustomerByID finds a customer, or returns ErrNotFound. In an Update it moves the
// customer into the current epoch.
func (t *Tx) CustomerByID(id CustomerID) (Customer, error) {
	if t.writes {
		if c := t.hot().customers[id]; c != nil && c.row != nil {
			return t.openCustomer(*c.row)
		}
	}
	var s sealedCustomer
	found, err := t.first(`SELECT id, epoch, sealed FROM customers WHERE id = ?`, s.scan, int64(id))
	if err != nil {
		return Customer{}, err
	}
	if !found {
		return Customer{}, ErrNotFound
	}
	c, err := t.openCustomer(s)
	if !errors.Is(err, seal.ErrErased) {
		return c, err
	}
	for _, epoch := range t.shared.keys.Live() { // the epoch that it names may be damaged
		s.moved, s.epoch = true, epoch.ID
		if c, err := t.openCustomer(s); err == nil {
			return c, nil
		}
	}
	return Customer{}, err
}

// CustomersAfter returns at most limit customers for whom want returns true, in the order of
// their IDs, from behind one on. It leaves out those whose rows cannot be read.
func (t *Tx) CustomersAfter(after CustomerID, limit int, want func(Customer) bool) (found []Customer, err error) {
	err = t.rows(`SELECT id, epoch, sealed FROM customers WHERE id > ? ORDER BY id`, func(r row) error {
		var s sealedCustomer
		if err := s.scan(r); err != nil {
			return err
		}
		c, err := t.openCustomer(s)
		switch {
		case errors.Is(err, seal.ErrTampered), errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		case want(c):
			found = append(found, c)
		}
		if len(found) >= limit {
			return errEnough
		}
		return nil
	}, int64(after))
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// CustomerLately returns a customer as they were committed last, if that was a moment ago. It is for readers who
// would look at nothing else in a View.
func (s *Store) CustomerLately(id CustomerID) (c Customer, ok bool) {
	row, ok := s.lately.customer(id)
	if !ok {
		return Customer{}, false
	}
	c, err := (&Tx{shared: &s.shared}).openCustomer(row)
	return c, err == nil
}

func (t *Tx) openCustomer(s sealedCustomer) (Customer, error) {
	plain, err := t.open(s.epoch, purposeCustomer, rowOf(int64(s.id)), s.sealed)
	if err != nil {
		return Customer{}, err
	}
	r := newReader(plain)
	key, name, last := r.text(), r.text(), r.integer()
	var noticed, refused int64
	if len(r.b) > 0 { // rows of the first version end here
		noticed = r.integer()
	}
	if len(r.b) > 0 { // and those of the second here
		refused = r.integer()
	}
	var asked, declined int64
	if len(r.b) > 0 { // and those of the third here
		asked, declined = r.integer(), r.integer()
	}
	var offer string
	if len(r.b) > 0 { // and those of the fourth here
		offer = r.text()
	}
	var user string
	if len(r.b) > 0 { // and those of the fifth here
		user = r.text()
	}
	if err := r.done(); err != nil {
		return Customer{}, err
	}
	number, err := phone.ParseKey(key)
	if err != nil {
		return Customer{}, seal.ErrTampered
	}
	c := Customer{
		ID: s.id, Number: number, UserID: user, Name: name,
		LastInbound: fromMillis(last), Noticed: fromMillis(noticed), Refused: fromMillis(refused),
		Asked: fromMillis(asked), Declined: fromMillis(declined), Offer: offer,
	}
	if t.outdated(s.epoch) || t.writes && (s.moved || c.UserID == "") {
		err := t.writeCustomer(&c)
		return c, err
	}
	if t.writes {
		t.kept = c.ID
	}
	return c, nil
}

// PutCustomer writes a customer. With a zero c.ID it creates one and fills in the ID. It also
// fills in an empty UserID: with the customer's, or with a new one. It returns ErrInvalid when
// another customer has that number.
func (t *Tx) PutCustomer(c *Customer) error {
	if err := t.allow(!c.Number.IsZero(), len(c.Name) <= MaxBody && len(c.Offer) <= MaxIdentifier && len(c.UserID) <= MaxIdentifier); err != nil {
		return err
	}
	other, err := t.findCustomer(c.Number)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	case other.id != c.ID:
		return fmt.Errorf("%w: another customer has that number", ErrInvalid)
	case c.UserID == "":
		was, err := t.openCustomer(other)
		if err != nil && !errors.Is(err, seal.ErrTampered) {
			return err
		}
		c.UserID = was.UserID
	}
	if c.ID == 0 {
		c.ID = CustomerID(randomID())
	}
	return t.writeCustomer(c)
}

// noCountry is the country of a user id when neither the number nor the region has one (ISO 3166-1
// leaves it to its users).
const noCountry = "ZZ"

// newUserID draws a user id: a country, a full stop and 26 letters and digits, 130 random bits. It
// says nothing of the customer but the country.
func (t *Tx) newUserID(n phone.Number) string {
	return cmp.Or(n.Country(), t.shared.country, noCountry) + "." + rand.Text()
}

// writeCustomer writes the row in the current epoch. A customer without a user id gets one.
func (t *Tx) writeCustomer(c *Customer) error {
	if c.UserID == "" {
		c.UserID = t.newUserID(c.Number)
	}
	plain := newWriter(96).text(c.Number.Key()).text(c.Name).
		integer(toMillis(c.LastInbound)).integer(toMillis(c.Noticed)).integer(toMillis(c.Refused)).
		integer(toMillis(c.Asked)).integer(toMillis(c.Declined)).text(c.Offer).text(c.UserID)
	epoch, sealed, err := t.shared.keys.Seal(purposeCustomer, rowOf(int64(c.ID)), plain.b)
	if err != nil {
		return err
	}
	var macs [2][32]byte
	if macs[0], err = t.shared.keys.Lookup(epoch, purposeCustomer, []byte(c.Number.Key())); err != nil {
		return err
	}
	if macs[1], err = t.shared.keys.Lookup(epoch, purposeUser, []byte(c.UserID)); err != nil {
		return err
	}
	if t.hot().indexed(c.ID, epoch, macs) { // what is not named costs its index nothing
		err = t.write(`UPDATE customers SET sealed = ? WHERE id = ?`, sealed, int64(c.ID))
	} else {
		err = t.write(`INSERT INTO customers (id, epoch, lookup, user, sealed) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, lookup = excluded.lookup, user = excluded.user, sealed = excluded.sealed`,
			int64(c.ID), epoch, macs[0][:], macs[1][:], sealed)
	}
	if err == nil {
		t.hot().wroteCustomer(sealedCustomer{id: c.ID, epoch: epoch, sealed: sealed}, macs)
	}
	return err
}

// keepCustomer moves a customer into the current epoch, so that what is written for them now
// does not outlive their number. It returns ErrNotFound when there is no such customer.
func (t *Tx) keepCustomer(id CustomerID) error {
	if id == t.kept {
		return nil
	}
	if c := t.hot().customers[id]; c != nil && c.row != nil && !t.outdated(c.row.epoch) {
		t.kept = id
		return nil
	}
	var epoch int64
	found, err := t.first(`SELECT epoch FROM customers WHERE id = ?`, func(r row) error {
		r.numbers(&epoch)
		return nil
	}, int64(id))
	if err != nil {
		return err
	}
	if !found {
		return ErrNotFound
	}
	if t.outdated(epoch) {
		// This moves it. A damaged one stays where it is until its customer writes.
		if _, err := t.CustomerByID(id); err != nil && !errors.Is(err, seal.ErrTampered) {
			return err
		}
	}
	t.kept = id
	return nil
}

// randomID draws a random positive row identifier. It is never 0, which stands for none.
func randomID() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>1 | 1<<61)
}
