package store

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/seal"
)

const purposeSession = "session"

// omemo2Session marks the record of the sessions in OMEMO2, which a device has beside that of Legacy. It is
// the bit above those of device ids.
const omemo2Session carrier.DeviceID = 1 << 31

// SessionsIn names the record of the sessions with a device in a format, for Record, PutRecord and
// DeleteRecord. In Legacy it is the device's id.
func SessionsIn(f carrier.Format, d carrier.DeviceID) carrier.DeviceID {
	if f == carrier.OMEMO2 {
		return d | omemo2Session
	}
	return d
}

// sessionRow is what a record is bound to. The record itself does not name its device, so the
// device is part of this.
func sessionRow(row *child, d carrier.DeviceID) []byte {
	return rowOf(row.id, int64(row.customer), int64(d))
}

// Record returns the session record with a customer's device; nil when there is
// none.
func (t *Tx) Record(c CustomerID, d carrier.DeviceID) ([]byte, error) {
	row, err := t.findSession(c, d)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	record, err := t.open(row.epoch, purposeSession, sessionRow(row, d), row.sealed)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return record, err
}

func (t *Tx) findSession(c CustomerID, d carrier.DeviceID) (*child, error) {
	if t.session != nil && t.session.customer == c && t.device == d {
		return t.session, nil
	}
	children, err := t.children(c, `SELECT id, customer, epoch, lookup, sealed FROM sessions WHERE customer = ?`,
		func(h *hotCustomer) **[]child { return &h.sessions })
	if err != nil {
		return nil, err
	}
	row, err := t.pick(children, purposeSession, c, d)
	if err == nil {
		t.session, t.device = row, d
	}
	return row, err
}

// PutRecord writes the session record with a device of an existing customer, at most MaxBody
// bytes, in the current epoch. It also moves the customer and the device into that epoch: a
// session is useless without them.
func (t *Tx) PutRecord(c CustomerID, d carrier.DeviceID, record []byte) error {
	if err := t.allow(d != 0, len(record) > 0, len(record) <= MaxBody); err != nil {
		return err
	}
	if err := t.keepCustomer(c); err != nil {
		return err
	}
	row, err := t.findSession(c, d)
	if errors.Is(err, ErrNotFound) {
		row, err = &child{id: take(&t.shared.next.session), customer: c, epoch: -1}, nil
	}
	if err != nil {
		return err
	}
	if t.outdated(row.epoch) { // otherwise the device moved together with the session
		if _, err := t.Device(c, d&^omemo2Session); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return t.writeSession(row, d, record)
}

func (t *Tx) writeSession(row *child, d carrier.DeviceID, record []byte) error {
	epoch, sealed, err := t.shared.keys.Seal(purposeSession, sessionRow(row, d), record)
	if err != nil {
		return err
	}
	t.session, t.device = nil, 0
	if row.epoch >= 0 {
		if err := t.leaves(tableSessions, row.identity(), row.sealed); err != nil {
			return err
		}
	}
	if row.epoch == epoch {
		if err := t.enters(tableSessions, row.identity(), sealed); err != nil {
			return err
		}
		err = t.write(`UPDATE sessions SET sealed = ? WHERE id = ?`, sealed, row.id)
		return t.wroteSession(child{id: row.id, customer: row.customer, epoch: epoch, lookup: row.lookup, sealed: sealed}, err)
	}
	mac, err := t.deviceLookup(epoch, purposeSession, row.customer, d)
	if err != nil {
		return err
	}
	moved := child{id: row.id, customer: row.customer, epoch: epoch, lookup: mac}
	if err := t.enters(tableSessions, moved.identity(), sealed); err != nil {
		return err
	}
	err = t.write(`INSERT INTO sessions (id, customer, epoch, lookup, sealed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, lookup = excluded.lookup, sealed = excluded.sealed`,
		row.id, int64(row.customer), epoch, mac, sealed)
	moved.sealed = sealed
	return t.wroteSession(moved, err)
}

// wroteSession remembers a row that was written.
func (t *Tx) wroteSession(row child, err error) error {
	if err == nil {
		t.hot().changed = true
		putChild(t.hot().of(row.customer).sessions, row)
	}
	return err
}

// DeleteRecord removes the session with a device, if there is one.
func (t *Tx) DeleteRecord(c CustomerID, d carrier.DeviceID) error {
	if err := t.allow(); err != nil {
		return err
	}
	row, err := t.findSession(c, d)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	t.session, t.device = nil, 0
	if err := t.leaves(tableSessions, row.identity(), row.sealed); err != nil {
		return err
	}
	_, err = t.run(`DELETE FROM sessions WHERE id = ?`, row.id)
	return err
}

// DeleteDevice removes a device and the sessions with it, if there are any.
func (t *Tx) DeleteDevice(c CustomerID, d carrier.DeviceID) error {
	for _, f := range carrier.Formats() {
		if err := t.DeleteRecord(c, SessionsIn(f, d)); err != nil {
			return err
		}
	}
	row, _, err := t.findDevice(c, d)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil && !errors.Is(err, seal.ErrTampered) {
		return err
	}
	_, err = t.run(`DELETE FROM devices WHERE id = ?`, row.id)
	return err
}
