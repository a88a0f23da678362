package signal

import (
	"maps"
	"testing"
	"time"
)

// start is when tests begin; nothing in this package reads a clock.
var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// device is one end of a conversation with one peer, with its keys and its record
// as a store would keep them: serialised.
type device struct {
	t      testing.TB
	format Format
	local  Local
	signed map[uint32]*SignedPreKey
	pre    map[uint32]*PreKey
	nextID uint32 // of the one-time pre-key that the next bundle offers
	stored []byte // the record, nil before there is one
	now    time.Time
	peer   IdentityKey // of the last message that was decrypted
}

func newDevice(t testing.TB) *device {
	t.Helper()
	return newDeviceOf(t, Legacy)
}

// newDeviceOf is a device that publishes bundles of that format.
func newDeviceOf(t testing.TB, f Format) *device {
	t.Helper()
	identity, err := GenerateIdentityKeyPair()
	must(t, err)
	registration, err := GenerateRegistrationID()
	must(t, err)
	d := &device{
		t: t, format: f, local: Local{Identity: identity, RegistrationID: registration},
		signed: map[uint32]*SignedPreKey{}, pre: map[uint32]*PreKey{}, nextID: 1, now: start,
	}
	d.addSigned(1)
	d.addPreKeys(1, 4)
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *device) addSigned(id uint32) {
	k, err := GenerateSignedPreKey(id, d.local.Identity, d.now)
	must(d.t, err)
	d.signed[id] = k
}

func (d *device) addPreKeys(first uint32, n int) {
	keys, err := GeneratePreKeys(first, n)
	must(d.t, err)
	for _, k := range keys {
		d.pre[k.ID()] = k
	}
}

func (d *device) SignedPreKey(id uint32) (*SignedPreKey, error) {
	if k, ok := d.signed[id]; ok {
		return k, nil
	}
	return nil, ErrUnknownPreKey
}

func (d *device) PreKey(id uint32) (*PreKey, error) {
	if k, ok := d.pre[id]; ok {
		return k, nil
	}
	return nil, ErrUnknownPreKey
}

// bundle offers the next one-time pre-key, or none when they are used up.
func (d *device) bundle() Bundle {
	var newest *SignedPreKey
	for _, k := range d.signed {
		if newest == nil || k.ID() > newest.ID() {
			newest = k
		}
	}
	b := Bundle{
		Identity: d.local.Identity.Public(), SignedPreKeyID: newest.ID(), SignedPreKey: newest.Public(),
		Signature: newest.Signature(), RegistrationID: d.local.RegistrationID, Format: d.format,
	}
	if d.format == OMEMO2 {
		var err error
		b.Signature, err = d.local.Identity.Sign(newest.Public().Coordinate())
		must(d.t, err)
	}
	if k, ok := d.pre[d.nextID]; ok {
		b.PreKeyID, b.PreKey = k.ID(), k.Public()
		d.nextID++
	}
	return b
}

func (d *device) record() *Record {
	if d.stored == nil {
		return nil
	}
	r, err := ParseRecord(d.stored)
	must(d.t, err)
	return r
}

func (d *device) store(r *Record) {
	b, err := r.MarshalBinary()
	must(d.t, err)
	d.stored = b
}

func (d *device) initiate(b Bundle) {
	d.t.Helper()
	r, err := Initiate(d.local, d.record(), b, d.now)
	must(d.t, err)
	d.store(r)
}

func (d *device) seal(text string) Ciphertext {
	d.t.Helper()
	c, r, err := Encrypt(d.record(), d.local, []byte(text))
	must(d.t, err)
	d.store(r)
	return c
}

// open decrypts and stores what is to be stored.
func (d *device) open(c Ciphertext) (string, error) {
	got, err := Decrypt(d.local, d.record(), d, c, d.now)
	if err != nil {
		return "", err
	}
	d.store(got.Record)
	d.peer = got.Identity
	delete(d.pre, got.UsedPreKey)
	return string(got.Plaintext), nil
}

// wants fails the test unless c decrypts to text.
func (d *device) wants(c Ciphertext, text string) {
	d.t.Helper()
	got, err := d.open(c)
	if err != nil {
		d.t.Fatalf("message %q: %v", text, err)
	}
	if got != text {
		d.t.Fatalf("got %q, want %q", got, text)
	}
}

// state is all that a device stores, to tell whether anything changed.
type state struct {
	stored string
	pre    map[uint32]*PreKey
}

func (d *device) state() state { return state{string(d.stored), maps.Clone(d.pre)} }

func (s state) equal(o state) bool {
	return s.stored == o.stored && maps.Equal(s.pre, o.pre)
}

// pair returns two devices with a session that both have used.
func pair(t testing.TB) (alice, bob *device) {
	t.Helper()
	return pairOf(t, Legacy)
}

// pairOf is pair in that format.
func pairOf(t testing.TB, f Format) (alice, bob *device) {
	t.Helper()
	alice, bob = newDeviceOf(t, f), newDeviceOf(t, f)
	alice.initiate(bob.bundle())
	bob.wants(alice.seal("hello"), "hello")
	alice.wants(bob.seal("hello yourself"), "hello yourself")
	return alice, bob
}

// inFormats runs a test in each format.
func inFormats(t *testing.T, test func(t *testing.T, f Format)) {
	t.Helper()
	for name, f := range map[string]Format{"legacy": Legacy, "omemo2": OMEMO2} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}
