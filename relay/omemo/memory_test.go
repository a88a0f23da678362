package omemo_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// now is the clock of these tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type address struct {
	peer   phone.Number
	device carrier.DeviceID
	format carrier.Format // of a session
}

// memory is a Sessions view that can be compared with what it was before.
type memory struct {
	records    map[address]*signal.Record
	identities map[address]signal.IdentityKey
	signed     *signal.SignedPreKey
	pre        map[uint32]*signal.PreKey
	writes     int
	begun      map[signal.Begun]bool
	fail       error // what every write answers when it is not nil
}

func (m *memory) Record(peer phone.Number, d carrier.DeviceID, f carrier.Format) (*signal.Record, error) {
	return m.records[address{peer, d, f}], nil
}

func (m *memory) PutRecord(peer phone.Number, d carrier.DeviceID, f carrier.Format, r *signal.Record) error {
	if m.fail != nil {
		return m.fail
	}
	m.writes++
	m.records[address{peer, d, f}] = r
	return nil
}

func (m *memory) Identity(peer phone.Number, d carrier.DeviceID) (signal.IdentityKey, bool, error) {
	k, ok := m.identities[address{peer, d, 0}]
	return k, ok, nil
}

func (m *memory) PutIdentity(peer phone.Number, d carrier.DeviceID, _ carrier.Format, key signal.IdentityKey) error {
	if m.fail != nil {
		return m.fail
	}
	m.writes++
	m.identities[address{peer, d, 0}] = key
	return nil
}

func (m *memory) SignedPreKey(id uint32) (*signal.SignedPreKey, error) {
	if m.signed == nil || m.signed.ID() != id {
		return nil, signal.ErrUnknownPreKey
	}
	return m.signed, nil
}

func (m *memory) PreKey(id uint32) (*signal.PreKey, error) {
	if k, ok := m.pre[id]; ok {
		return k, nil
	}
	return nil, signal.ErrUnknownPreKey
}

func (m *memory) Begin(b signal.Begun) error {
	if m.fail != nil {
		return m.fail
	}
	if m.begun[b] {
		return signal.ErrUnknownPreKey
	}
	if m.begun == nil {
		m.begun = map[signal.Begun]bool{}
	}
	m.begun[b] = true
	return nil
}

func (m *memory) UsePreKey(id uint32) error {
	if m.fail != nil {
		return m.fail
	}
	m.writes++
	delete(m.pre, id)
	return nil
}

// clone returns a view of the same sessions whose changes m does not see.
func (m *memory) clone() *memory {
	c := *m
	c.records, c.identities, c.pre = maps.Clone(m.records), maps.Clone(m.identities), maps.Clone(m.pre)
	c.begun = maps.Clone(m.begun)
	c.writes = 0
	return &c
}

// device is one end of a conversation: an account, its number and its sessions.
type device struct {
	t       *testing.T
	number  phone.Number
	account omemo.Account
	mem     *memory
	bundle  carrier.Bundle
}

// newDevice makes a device with few one-time pre-keys: tests make many devices.
func newDevice(t *testing.T, number string, id carrier.DeviceID) *device {
	t.Helper()
	n, err := phone.Parse(number)
	check(t, err)
	identity, err := signal.GenerateIdentityKeyPair()
	check(t, err)
	signed, err := signal.GenerateSignedPreKey(1, identity, now)
	check(t, err)
	pre, err := signal.GeneratePreKeys(1, 3)
	check(t, err)
	d := &device{t: t, number: n, mem: &memory{
		records: map[address]*signal.Record{}, identities: map[address]signal.IdentityKey{},
		signed: signed, pre: map[uint32]*signal.PreKey{},
	}}
	for _, k := range pre {
		d.mem.pre[k.ID()] = k
	}
	d.account = omemo.Account{Local: signal.Local{Identity: identity, RegistrationID: uint32(id)}, Device: id}
	d.bundle = d.account.Bundle(signed, pre)
	return d
}

// published returns the device's bundle without the one-time pre-keys that are
// used: the device published it again.
func (d *device) published() carrier.Bundle {
	b := d.bundle
	b.PreKeys = slices.DeleteFunc(slices.Clone(b.PreKeys), func(k carrier.PreKey) bool { return d.mem.pre[k.ID] == nil })
	return b
}

func (d *device) start(peer *device) omemo.Started {
	d.t.Helper()
	started, err := d.account.Start(d.mem, peer.number, peer.account.Device, peer.published(), now)
	check(d.t, err)
	return started
}

func (d *device) seal(text string, to ...*device) carrier.Message {
	d.t.Helper()
	return d.sealBytes([]byte(text), to...)
}

func (d *device) sealBytes(text []byte, to ...*device) carrier.Message {
	d.t.Helper()
	var ids []carrier.DeviceID
	for _, x := range to {
		ids = append(ids, x.account.Device)
	}
	e, err := d.account.Seal(d.mem, carrier.Legacy, to[0].number, ids, omemo.Text(text), now)
	check(d.t, err)
	return carrier.Message{From: d.number, Envelope: e, Time: now}
}

func (d *device) open(m carrier.Message) (omemo.Opened, error) {
	return d.account.Open(d.mem, m, now)
}

func (d *device) mustOpen(m carrier.Message, want string) omemo.Opened {
	d.t.Helper()
	o, err := d.open(m)
	check(d.t, err)
	if string(o.Text) != want {
		d.t.Fatalf("opened %q, want %q", o.Text, want)
	}
	return o
}

// conversation returns two devices with a session that both have used.
func conversation(t *testing.T) (business, customer *device) {
	t.Helper()
	business, customer = newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
	customer.start(business)
	business.mustOpen(customer.seal("hello", business), "hello")
	customer.mustOpen(business.seal("good day", customer), "good day")
	return business, customer
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
