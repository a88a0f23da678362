package store

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

const purposeMessage = "message"

// PutMessage writes a message of an existing customer, who moves into the current epoch.
// Writing an ID again replaces the message but leaves it in its first epoch and at its first
// Created: a changed message does not live longer. For a new message it may return ErrQuota,
// and the update must then fail.
func (t *Tx) PutMessage(m Message) error {
	err := t.allow(identifier(m.ID), identifier(m.State), len(m.CarrierID) <= MaxIdentifier,
		len(m.Body) <= MaxBody, len(m.Type)+len(m.Opaque) <= MaxBody,
		m.Direction == Inbound || m.Direction == Outbound, !m.Created.IsZero())
	if err != nil {
		return err
	}
	if err := t.keepCustomer(m.Customer); err != nil {
		return err
	}
	epoch, err := t.shared.keys.Current()
	if err != nil {
		return err
	}
	s, mac, err := t.sealMessage(take(&t.shared.next.message), epoch, m, 0)
	if err != nil {
		return err
	}
	n, err := t.run(`INSERT INTO messages (`+messageColumns+`, carrier) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`,
		s.row, s.epoch, s.customer, s.direction, s.created, s.updated, s.id, s.state, s.sealed, mac)
	if err != nil {
		return err
	}
	if n == 1 {
		t.wroteMessage(s)
		t.conn.Fresh()
		return t.adds(m.Customer, s.sealed)
	}
	return t.ReplaceMessage(m)
}

// ReplaceMessage is PutMessage for an ID that exists, else it returns ErrNotFound.
func (t *Tx) ReplaceMessage(m Message) error {
	err := t.allow(identifier(m.State), len(m.CarrierID) <= MaxIdentifier,
		len(m.Body) <= MaxBody, len(m.Type)+len(m.Opaque) <= MaxBody)
	if err != nil {
		return err
	}
	old, err := t.messageRow(m.ID)
	if err != nil {
		return err
	}
	m.Created = fromMillis(old.created)
	if int64(m.Customer) != old.customer || int64(m.Direction) != old.direction {
		return fmt.Errorf("%w: a message cannot change its customer or direction", ErrInvalid)
	}
	var key int64
	if t.shared.memory != nil {
		plain, err := t.open(old.epoch, purposeMessage, old.identity(), old.sealed)
		if err == nil {
			key, err = messageKey(plain)
		}
		if err != nil {
			return err
		}
	}
	s, mac, err := t.sealMessage(old.row, old.epoch, m, key)
	if err != nil {
		return err
	}
	t.use(m.Customer, int64(len(s.sealed)-len(old.sealed)))
	if old.carrier != nil && bytes.Equal(old.carrier, s.carrier) { // what is not named costs its index nothing
		return t.updateMessage(s)
	}
	err = t.write(`UPDATE messages SET state = ?, updated = ?, carrier = ?, sealed = ? WHERE row = ?`,
		s.state, s.updated, mac, s.sealed, s.row)
	if err == nil {
		t.wroteMessage(s)
	}
	return err
}

// updateMessage writes a row whose carrier's id stays as it is.
func (t *Tx) updateMessage(s sealedMessage) error {
	err := t.write(`UPDATE messages SET state = ?, updated = ?, sealed = ? WHERE row = ?`,
		s.state, s.updated, s.sealed, s.row)
	if err == nil {
		t.wroteMessage(s)
	}
	return err
}

// wroteMessage remembers a row that was written.
func (t *Tx) wroteMessage(s sealedMessage) {
	h := t.hot()
	h.changed = true
	h.messages.put(s)
	h.written.messages = append(h.written.messages, s.id)
}

// Lately returns a message as it was committed last, if that was a moment ago. It is for readers who would
// look at nothing else in a View.
func (s *Store) Lately(id string) (m Message, ok bool) {
	row, ok := s.lately.message(id)
	if !ok {
		return Message{}, false
	}
	m, err := (&Tx{shared: &s.shared}).openMessage(row)
	return m, err == nil
}

// StateLately returns the state of the message that Lately would, without opening it.
func (s *Store) StateLately(id string) (state string, ok bool) {
	row, ok := s.lately.message(id)
	if !ok || !s.keys.Has(row.epoch) {
		return "", false
	}
	return row.state, true
}

// messageRow reads a message's row by its ID, or remembers it.
func (t *Tx) messageRow(id string) (sealedMessage, error) {
	if t.writes {
		if s, ok := t.hot().messages.rows[id]; ok {
			return s, nil
		}
	}
	s, err := t.findMessage(`WHERE id = ?`, id)
	if err == nil && t.writes {
		t.hot().messages.put(s)
	}
	return s, err
}

// sealMessage returns the row and the HMAC of the carrier's ID, nil without one. Key is that of the
// content in memory, if it has one already.
func (t *Tx) sealMessage(row, epoch int64, m Message, key int64) (sealedMessage, any, error) {
	if m.Updated.IsZero() {
		m.Updated = m.Created
	}
	s := sealedMessage{
		row: row, epoch: epoch, customer: int64(m.Customer), direction: int64(m.Direction),
		created: toMillis(m.Created), updated: toMillis(m.Updated), id: m.ID, state: m.State,
	}
	plain, err := t.plainMessage(s, m, key)
	if err != nil {
		return s, nil, err
	}
	if s.sealed, err = t.shared.keys.SealIn(epoch, purposeMessage, s.identity(), plain); err != nil {
		return s, nil, err
	}
	if m.CarrierID == "" {
		return s, nil, nil
	}
	s.carrier, err = t.carrierLookup(epoch, m.Direction, m.CarrierID)
	return s, s.carrier, err
}

// plainMessage is what a message's row seals.
func (t *Tx) plainMessage(s sealedMessage, m Message, key int64) ([]byte, error) {
	if t.shared.memory != nil || m.Lost {
		return t.shared.memory.message(s.row, m, key)
	}
	plain := newWriter(len(m.Body) + len(m.Opaque) + len(m.CarrierID)).
		text(m.Type).text(m.CarrierID).text(m.Opaque).bytes(m.Body)
	if !m.Sent.IsZero() || !m.Delivered.IsZero() {
		plain.integer(toMillis(m.Sent)).integer(toMillis(m.Delivered))
	}
	return plain.b, nil
}

func (t *Tx) carrierLookup(epoch int64, d Direction, id string) ([]byte, error) {
	mac, err := t.shared.keys.Lookup(epoch, purposeMessage, append([]byte{byte(d)}, id...))
	if made, ok := timeOf(id); ok {
		return append(made, mac[:10]...), err
	}
	return mac[:16], err
}

// SetMessageState changes a message's State and Updated, or returns ErrNotFound.
func (t *Tx) SetMessageState(id, state string, at time.Time) error {
	if err := t.allow(identifier(state), !at.IsZero()); err != nil {
		return err
	}
	old, err := t.messageRow(id)
	if err != nil {
		return err
	}
	plain, err := t.open(old.epoch, purposeMessage, old.identity(), old.sealed)
	if err != nil {
		return err
	}
	s := old
	s.state, s.updated = state, toMillis(at)
	if s.sealed, err = t.shared.keys.SealIn(s.epoch, purposeMessage, s.identity(), plain); err != nil {
		return err
	}
	t.use(CustomerID(s.customer), int64(len(s.sealed)-len(old.sealed)))
	return t.updateMessage(s)
}

// Message returns a message by its ID, or ErrNotFound.
func (t *Tx) Message(id string) (Message, error) {
	s, err := t.messageRow(id)
	if err != nil {
		return Message{}, err
	}
	return t.openMessage(s)
}

func (t *Tx) findMessage(where string, args ...driver.Value) (s sealedMessage, err error) {
	found, err := t.first(`SELECT `+messageColumns+` FROM messages `+where, s.scan, args...)
	if err == nil && !found {
		err = ErrNotFound
	}
	return s, err
}

// MessageByCarrierID returns the youngest message of that direction with that CarrierID, or
// ErrNotFound. Peers choose the IDs of what comes in, so check that the message belongs to the
// right customer.
func (t *Tx) MessageByCarrierID(d Direction, id string) (Message, error) {
	live := t.shared.keys.Live()
	if made, ok := madeAt(id); ok && d == Outbound { // it says when; a clock may have been wrong then
		likely := since(live, made.Add(-likelyTime))
		m, err := t.byCarrierID(likely, d, id, "")
		if !errors.Is(err, ErrNotFound) {
			return m, err
		}
		live = live[len(likely):]
	}
	return t.byCarrierID(live, d, id, "")
}

// likelyTime is by how much the clock that made an id may be ahead of the one that dates epochs, for its message to be
// found at once.
const likelyTime = time.Hour

// ReceivedByCarrierID returns the youngest message from a customer with that CarrierID,
// or ErrNotFound. Those that were stored before a time may be missed; the zero time looks under all epochs, which takes
// longer.
func (t *Tx) ReceivedByCarrierID(c CustomerID, id string, from time.Time) (Message, error) {
	return t.byCarrierID(since(t.shared.keys.Live(), from), Inbound, id, `AND customer = ?`, int64(c))
}

// since returns those epochs, youngest first, that were in use at a time or later.
func since(live []seal.Epoch, at time.Time) []seal.Epoch {
	if i := slices.IndexFunc(live, func(e seal.Epoch) bool { return e.Created.Before(at) }); i >= 0 {
		return live[:i+1]
	}
	return live
}

func (t *Tx) byCarrierID(epochs []seal.Epoch, d Direction, id, where string, args ...driver.Value) (Message, error) {
	var macs []driver.Value // in one statement: there is an epoch a day
	for _, epoch := range epochs {
		mac, err := t.carrierLookup(epoch.ID, d, id)
		if errors.Is(err, seal.ErrErased) {
			continue // forgotten meanwhile
		}
		if err != nil {
			return Message{}, err
		}
		macs = append(macs, mac)
	}
	if len(macs) == 0 {
		return Message{}, ErrNotFound
	}
	s, err := t.findMessage(`WHERE carrier IN (?`+strings.Repeat(`, ?`, len(macs)-1)+`) `+where+` ORDER BY row DESC LIMIT 1`,
		append(macs, args...)...)
	if err != nil {
		return Message{}, err
	}
	m, err := t.openMessage(s)
	if err == nil && (m.CarrierID != id || m.Direction != d) { // the row's HMAC was exchanged
		err = gone(seal.ErrTampered)
	}
	return m, err
}

// openMessage opens a row. A damaged one counts as gone: ErrNotFound.
func (t *Tx) openMessage(s sealedMessage) (Message, error) {
	plain, err := t.open(s.epoch, purposeMessage, s.identity(), s.sealed)
	if err != nil {
		return Message{}, gone(err)
	}
	m := Message{
		ID: s.id, Direction: Direction(s.direction), Customer: CustomerID(s.customer), State: s.state,
		Created: fromMillis(s.created), Updated: fromMillis(s.updated),
	}
	if r, ok := readBare(plain); ok {
		return m, gone(t.shared.memory.readMessage(s.row, &m, r))
	}
	r := newReader(plain)
	m.Type, m.CarrierID, m.Opaque, m.Body = r.text(), r.text(), r.text(), r.bytes()
	if len(r.b) > 0 { // earlier relays wrote no times
		m.Sent, m.Delivered = fromMillis(r.integer()), fromMillis(r.integer())
	}
	return m, gone(r.done())
}

// MessagesOf returns a customer's messages of one direction that were created up
// to a time, youngest first, at most limit.
func (t *Tx) MessagesOf(c CustomerID, d Direction, upTo time.Time, limit int) ([]Message, error) {
	return t.messagesOf(`SELECT `+messageColumns+` FROM messages
		WHERE customer = ? AND direction = ? AND created <= ? ORDER BY created DESC, row DESC LIMIT ?`, c, d, upTo, limit)
}

// MessagesUnderWay is MessagesOf for those in the states "sent" and "delivered".
func (t *Tx) MessagesUnderWay(c CustomerID, d Direction, upTo time.Time, limit int) ([]Message, error) {
	return t.messagesOf(`SELECT `+messageColumns+` FROM messages
		WHERE customer = ? AND direction = ? AND created <= ? AND state IN ('sent', 'delivered')
		ORDER BY created DESC, row DESC LIMIT ?`, c, d, upTo, limit)
}

func (t *Tx) messagesOf(query string, c CustomerID, d Direction, upTo time.Time, limit int) ([]Message, error) {
	var found []sealedMessage
	err := t.rows(query,
		func(r row) error {
			var s sealedMessage
			if err := s.scan(r); err != nil {
				return err
			}
			found = append(found, s)
			return nil
		}, int64(c), int64(d), toMillis(upTo), int64(limit))
	if err != nil {
		return nil, err
	}
	messages := make([]Message, 0, len(found))
	for _, s := range found {
		m, err := t.openMessage(s)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// EachMessage calls fn for the messages of a customer, or of everybody if the customer is
// zero, in the order in which they were written, from behind the given place on; zero is
// before the first. It returns the place of the last one. It skips what cannot be opened
// because its key was destroyed or it is damaged. fn must not call EachMessage.
func (t *Tx) EachMessage(c CustomerID, after int64, fn func(Message) error) (last int64, err error) {
	last = after
	each := func(r row) error {
		var s sealedMessage
		if err := s.scan(r); err != nil {
			return err
		}
		last = s.row
		m, err := t.openMessage(s)
		if errors.Is(err, ErrNotFound) || errors.Is(err, seal.ErrTampered) {
			return nil
		}
		if err != nil {
			return err
		}
		return fn(m)
	}
	if c == 0 {
		err = t.rows(`SELECT `+messageColumns+` FROM messages WHERE row > ? ORDER BY row`, each, after)
	} else {
		err = t.rows(`SELECT `+messageColumns+` FROM messages WHERE customer = ? AND row > ? ORDER BY row`, each, int64(c), after)
	}
	return last, err
}
