package store

import (
	"errors"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/seal"
)

const purposeDevice = "device"

// Devices returns all known devices of a customer, in the order in which they became known.
// Of a device whose row is damaged it only says that there is one. In an Update it moves them
// into the current epoch.
func (t *Tx) Devices(c CustomerID) ([]Device, error) {
	children, err := t.deviceRows(c)
	if err != nil {
		return nil, err
	}
	devices := make([]Device, 0, len(children))
	for i := range children {
		d, err := t.openDevice(&children[i])
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if errors.Is(err, seal.ErrTampered) {
			d, err = Device{Damaged: true}, nil
		}
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

func (t *Tx) deviceRows(c CustomerID) ([]child, error) {
	return t.children(c, `SELECT id, customer, epoch, lookup, sealed FROM devices WHERE customer = ? ORDER BY id`,
		func(h *hotCustomer) **[]child { return &h.devices })
}

// children reads a customer's rows in the table devices or sessions, or remembers them.
func (t *Tx) children(c CustomerID, query string, known func(*hotCustomer) **[]child) (children []child, err error) {
	if h := t.hot(); h != nil && h.customers[c] != nil {
		if rows := *known(h.customers[c]); rows != nil {
			return slices.Clone(*rows), nil // callers change them
		}
	}
	err = t.rows(query, func(r row) error {
		var row child
		if err := row.scan(r); err != nil {
			return err
		}
		children = append(children, row)
		return nil
	}, int64(c))
	if err == nil && t.writes {
		*known(t.hot().of(c)) = new(slices.Clone(children))
	}
	return children, err
}

func (t *Tx) openDevice(row *child) (Device, error) {
	plain, err := t.open(row.epoch, purposeDevice, row.row(), row.sealed)
	if err != nil {
		return Device{}, err
	}
	r := newReader(plain)
	d := Device{ID: carrier.DeviceID(r.integer()), IdentityKey: keyOrNil(r), Active: r.flag(), Accepted: r.flag()}
	if len(r.b) > 0 { // rows of the first version end here
		d.Offered = keyOrNil(r)
	}
	if len(r.b) > 0 { // those of the second here
		d.Wrote, d.Renewed = fromMillis(r.integer()), fromMillis(r.integer())
	}
	if len(r.b) > 0 { // those of the third here
		d.OMEMO2 = r.flag()
	}
	if err := r.done(); err != nil {
		return Device{}, err
	}
	if t.outdated(row.epoch) {
		return d, t.writeDevice(row, d)
	}
	return d, nil
}

// keyOrNil reads a key, nil when there is none.
func keyOrNil(r *reader) []byte {
	if k := r.bytes(); len(k) > 0 {
		return k
	}
	return nil
}

// Device returns one device, or ErrNotFound, also when its row is damaged.
func (t *Tx) Device(c CustomerID, d carrier.DeviceID) (Device, error) {
	_, device, err := t.findDevice(c, d)
	return device, gone(err)
}

func (t *Tx) findDevice(c CustomerID, id carrier.DeviceID) (*child, Device, error) {
	children, err := t.deviceRows(c)
	if err != nil {
		return nil, Device{}, err
	}
	row, err := t.pick(children, purposeDevice, c, id)
	if err != nil {
		return nil, Device{}, err
	}
	device, err := t.openDevice(row)
	if err == nil && device.ID != id { // the row's lookup was exchanged
		err = seal.ErrTampered
	}
	return row, device, err
}

// pick finds the row of one device among a customer's, or returns ErrNotFound. A
// customer has few devices: trying each row in its own epoch is cheaper than
// trying every epoch.
func (t *Tx) pick(children []child, purpose string, c CustomerID, d carrier.DeviceID) (*child, error) {
	for i := range children {
		mac, err := t.deviceLookup(children[i].epoch, purpose, c, d)
		if errors.Is(err, seal.ErrErased) {
			if t.pickDamaged(&children[i], purpose, d) {
				return &children[i], nil
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if string(mac) == string(children[i].lookup) {
			return &children[i], nil
		}
	}
	return nil, ErrNotFound
}

// pickDamaged says whether a row whose epoch has no key still belongs to that device. Then the
// epoch that the row names is damaged, and the row gets the one whose key found it.
func (t *Tx) pickDamaged(row *child, purpose string, d carrier.DeviceID) bool {
	for _, epoch := range t.shared.keys.Live() {
		mac, err := t.deviceLookup(epoch.ID, purpose, row.customer, d)
		if err == nil && string(mac) == string(row.lookup) {
			row.epoch = epoch.ID
			return true
		}
	}
	return false
}

func (t *Tx) deviceLookup(epoch int64, purpose string, c CustomerID, d carrier.DeviceID) ([]byte, error) {
	mac, err := t.shared.keys.Lookup(epoch, purpose, rowOf(int64(c), int64(d)))
	return mac[:16], err
}

// PutDevice writes a device of an existing customer and moves the customer into
// the current epoch.
func (t *Tx) PutDevice(c CustomerID, d Device) error {
	if err := t.allow(d.ID != 0, len(d.IdentityKey) <= MaxIdentifier, len(d.Offered) <= MaxIdentifier); err != nil {
		return err
	}
	if err := t.keepCustomer(c); err != nil {
		return err
	}
	row, _, err := t.findDevice(c, d.ID)
	if errors.Is(err, ErrNotFound) {
		row, err = &child{id: take(&t.shared.next.device), customer: c}, nil
	}
	if err != nil && !errors.Is(err, seal.ErrTampered) { // a damaged one is replaced
		return err
	}
	return t.writeDevice(row, d)
}

// writeDevice writes the row in the current epoch.
func (t *Tx) writeDevice(row *child, d Device) error {
	plain := newWriter(64).integer(int64(d.ID)).bytes(d.IdentityKey).flag(d.Active).flag(d.Accepted).bytes(d.Offered).
		integer(toMillis(d.Wrote)).integer(toMillis(d.Renewed)).flag(d.OMEMO2)
	epoch, sealed, err := t.shared.keys.Seal(purposeDevice, row.row(), plain.b)
	if err != nil {
		return err
	}
	mac, err := t.deviceLookup(epoch, purposeDevice, row.customer, d.ID)
	if err != nil {
		return err
	}
	row.epoch, row.lookup, row.sealed = epoch, mac, sealed
	err = t.write(`INSERT INTO devices (id, customer, epoch, lookup, sealed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, lookup = excluded.lookup, sealed = excluded.sealed`,
		row.id, int64(row.customer), epoch, mac, sealed)
	if err == nil {
		t.hot().changed = true
		putChild(t.hot().of(row.customer).devices, *row)
	}
	return err
}
