package twomemo

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/signal"
)

// device is a device of relay/signal's, with one peer, as a relay keeps it: its
// record as bytes, a one-time pre-key gone once it is used.
type device struct {
	t      testing.TB
	local  signal.Local
	signed *signal.SignedPreKey
	pre    map[uint32]*signal.PreKey
	nextID uint32
	stored []byte
}

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func newDevice(t testing.TB) *device {
	t.Helper()
	d := &device{t: t, pre: map[uint32]*signal.PreKey{}, nextID: 1, local: signal.Local{RegistrationID: 1}}
	var err error
	d.local.Identity, err = signal.GenerateIdentityKeyPair()
	must(t, err)
	d.signed, err = signal.GenerateSignedPreKey(1, d.local.Identity, start)
	must(t, err)
	keys, err := signal.GeneratePreKeys(1, 400)
	must(t, err)
	for _, k := range keys {
		d.pre[k.ID()] = k
	}
	return d
}

func (d *device) SignedPreKey(id uint32) (*signal.SignedPreKey, error) {
	if id != d.signed.ID() {
		return nil, signal.ErrUnknownPreKey
	}
	return d.signed, nil
}

func (d *device) PreKey(id uint32) (*signal.PreKey, error) {
	k, ok := d.pre[id]
	if !ok {
		return nil, signal.ErrUnknownPreKey
	}
	return k, nil
}

func (d *device) bundle() signal.Bundle {
	signature, err := d.local.Identity.Sign(d.signed.Public().Coordinate())
	must(d.t, err)
	b := signal.Bundle{
		Format: signal.OMEMO2, Identity: d.local.Identity.Public(), SignedPreKeyID: d.signed.ID(), SignedPreKey: d.signed.Public(),
		Signature: signature, PreKeyID: d.nextID, PreKey: d.pre[d.nextID].Public(),
	}
	d.nextID++
	return b
}

func (d *device) record() *signal.Record {
	if d.stored == nil {
		return nil
	}
	r, err := signal.ParseRecord(d.stored)
	must(d.t, err)
	return r
}

func (d *device) store(r *signal.Record) {
	var err error
	d.stored, err = r.MarshalBinary()
	must(d.t, err)
}

func (d *device) initiate(b signal.Bundle) {
	d.t.Helper()
	r, err := signal.Initiate(d.local, d.record(), b, start)
	must(d.t, err)
	d.store(r)
}

func (d *device) seal(text string) signal.Ciphertext {
	d.t.Helper()
	c, r, err := signal.Encrypt(d.record(), d.local, []byte(text))
	must(d.t, err)
	d.store(r)
	return c
}

func (d *device) open(c signal.Ciphertext) (string, error) {
	got, err := signal.Decrypt(d.local, d.record(), d, c, start)
	if err != nil {
		return "", err
	}
	d.store(got.Record)
	delete(d.pre, got.UsedPreKey)
	return string(got.Plaintext), nil
}
