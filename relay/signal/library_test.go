package signal

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/logger"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	libsession "go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/util/keyhelper"
	"go.mau.fi/libsignal/util/optional"
)

func TestMain(m *testing.M) {
	// Set once, before anything runs: the library's own way of doing it late is a
	// data race, and its default prints to standard output.
	quiet := logger.Loggable(&quietLogger)
	logger.Setup(&quiet)
	os.Exit(m.Run())
}

// quietLogger throws away what the library logs, debugging being off, and counts
// the lines, and those with keys in them that it was handed all the same.
var quietLogger silence

type silence struct{ lines, keysSeen atomic.Int64 }

func (s *silence) Debug(_, message string) {
	s.lines.Add(1)
	if strings.Contains(message, "cipherKey") {
		s.keysSeen.Add(1)
	}
}
func (s *silence) Info(string, string)    { s.lines.Add(1) }
func (s *silence) Warning(string, string) { s.lines.Add(1) }
func (s *silence) Error(string, string)   { s.lines.Add(1) }
func (*silence) Configure(string)         {}

// end is one end of a conversation, of either implementation.
type end interface {
	bundle() Bundle
	initiate(Bundle)
	seal(text string) Ciphertext
	open(Ciphertext) (string, error)
}

// libDevice is go.mau.fi/libsignal as shipped, over the stores that it asks for:
// a peer to talk to, and the measure of what this package has to do better.
type libDevice struct {
	t          testing.TB
	serializer *serialize.Serializer
	identity   *identity.KeyPair
	signed     map[uint32]*record.SignedPreKey
	pre        map[uint32]*record.PreKey
	nextID     uint32
	// With live set the session stays in memory, as the library's own examples
	// keep it; otherwise it is stored as bytes, as a real store keeps it.
	live    bool
	session *record.Session
	stored  []byte
	saved   *identity.Key // the peer's identity as SaveIdentity last had it
	loading func()        // what happens while a session is loaded; nil for nothing
}

var peerAddress = protocol.NewSignalAddress("peer", 1)

func newLibDevice(t testing.TB) *libDevice {
	t.Helper()
	d := &libDevice{
		t: t, serializer: serialize.NewProtoBufSerializer(), nextID: 1,
		signed: map[uint32]*record.SignedPreKey{}, pre: map[uint32]*record.PreKey{},
	}
	var err error
	d.identity, err = keyhelper.GenerateIdentityKeyPair()
	must(t, err)
	d.signed[1], err = keyhelper.GenerateSignedPreKey(d.identity, 1, d.serializer.SignedPreKeyRecord)
	must(t, err)
	d.addPreKeys(1, 4)
	return d
}

func (d *libDevice) addPreKeys(first, last int) {
	pre, err := keyhelper.GeneratePreKeys(first, last, d.serializer.PreKeyRecord)
	must(d.t, err)
	for _, k := range pre {
		d.pre[k.ID().Value] = k
	}
}

func (d *libDevice) builder() *libsession.Builder {
	return libsession.NewBuilder(d, d, d, d, peerAddress, d.serializer)
}

func (d *libDevice) cipher() *libsession.Cipher {
	return libsession.NewCipher(d.builder(), peerAddress)
}

func (d *libDevice) bundle() Bundle {
	d.t.Helper()
	key, err := ParsePublicKey(d.signed[1].KeyPair().PublicKey().Serialize())
	must(d.t, err)
	own, err := ParseIdentityKey(d.identity.PublicKey().PublicKey().Serialize())
	must(d.t, err)
	b := Bundle{Identity: own, SignedPreKeyID: 1, SignedPreKey: key, Signature: d.signed[1].Signature(), RegistrationID: 7}
	if k, ok := d.pre[d.nextID]; ok {
		b.PreKeyID = d.nextID
		b.PreKey, err = ParsePublicKey(k.KeyPair().PublicKey().Serialize())
		must(d.t, err)
		d.nextID++
	}
	return b
}

// libKey is a public key as the library has it.
func libKey(p PublicKey) ecc.ECPublicKeyable { return ecc.NewDjbECPublicKey(p.u) }

func libBundle(b Bundle) *prekey.Bundle {
	id, key := optional.NewEmptyUint32(), ecc.ECPublicKeyable(nil)
	if b.PreKeyID != 0 {
		id, key = optional.NewOptionalUint32(b.PreKeyID), libKey(b.PreKey)
	}
	return prekey.NewBundle(b.RegistrationID, 1, id, b.SignedPreKeyID, key, libKey(b.SignedPreKey),
		b.Signature, identity.NewKey(libKey(b.Identity.p)))
}

func (d *libDevice) initiate(b Bundle) {
	d.t.Helper()
	must(d.t, d.builder().ProcessBundle(context.Background(), libBundle(b)))
}

func (d *libDevice) seal(text string) Ciphertext {
	d.t.Helper()
	c, err := d.cipher().Encrypt(context.Background(), []byte(text))
	must(d.t, err)
	return Ciphertext{Data: c.Serialize(), PreKey: c.Type() == protocol.PREKEY_TYPE}
}

func (d *libDevice) open(c Ciphertext) (string, error) {
	ctx := context.Background()
	if c.PreKey {
		m, err := protocol.NewPreKeySignalMessageFromBytes(c.Data, d.serializer.PreKeySignalMessage, d.serializer.SignalMessage)
		if err != nil {
			return "", err
		}
		text, err := d.cipher().DecryptMessage(ctx, m)
		return string(text), err
	}
	m, err := protocol.NewSignalMessageFromBytes(c.Data, d.serializer.SignalMessage)
	if err != nil {
		return "", err
	}
	text, err := d.cipher().Decrypt(ctx, m)
	return string(text), err
}

// libPair returns two devices of the library's with a session that both have used.
func libPair(t testing.TB, live bool) (alice, bob *libDevice) {
	t.Helper()
	alice, bob = newLibDevice(t), newLibDevice(t)
	alice.live, bob.live = live, live
	alice.initiate(bob.bundle())
	wants(t, bob, alice.seal("hello"), "hello")
	wants(t, alice, bob.seal("hello yourself"), "hello yourself")
	return alice, bob
}

// wants fails the test unless c decrypts to text at e.
func wants(t testing.TB, e end, c Ciphertext, text string) {
	t.Helper()
	got, err := e.open(c)
	if err != nil || got != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

// The library's session store.

func (d *libDevice) LoadSession(context.Context, *protocol.SignalAddress) (*record.Session, error) {
	if meanwhile := d.loading; meanwhile != nil {
		d.loading = nil
		defer meanwhile()
	}
	switch {
	case d.live && d.session != nil:
		return d.session, nil
	case d.stored != nil:
		return record.NewSessionFromBytes(d.stored, d.serializer.Session, d.serializer.State)
	default:
		d.session = record.NewSession(d.serializer.Session, d.serializer.State)
		return d.session, nil
	}
}

func (d *libDevice) StoreSession(_ context.Context, _ *protocol.SignalAddress, r *record.Session) error {
	if d.live {
		d.session = r
		return nil
	}
	d.stored = r.Serialize()
	return nil
}

func (d *libDevice) ContainsSession(context.Context, *protocol.SignalAddress) (bool, error) {
	return d.session != nil || d.stored != nil, nil
}

func (d *libDevice) GetSubDeviceSessions(context.Context, string) ([]uint32, error) { return nil, nil }

func (d *libDevice) DeleteSession(context.Context, *protocol.SignalAddress) error { return nil }

func (d *libDevice) DeleteAllSessions(context.Context) error { return nil }

func (d *libDevice) StorePreKey(context.Context, uint32, *record.PreKey) error { return nil }

func (d *libDevice) StoreSignedPreKey(context.Context, uint32, *record.SignedPreKey) error {
	return nil
}

func (d *libDevice) RemoveSignedPreKey(context.Context, uint32) error { return nil }

// The library's pre-key and identity stores.

func (d *libDevice) LoadPreKey(_ context.Context, id uint32) (*record.PreKey, error) {
	return d.pre[id], nil
}

func (d *libDevice) ContainsPreKey(_ context.Context, id uint32) (bool, error) {
	return d.pre[id] != nil, nil
}

func (d *libDevice) RemovePreKey(_ context.Context, id uint32) error {
	delete(d.pre, id)
	return nil
}

func (d *libDevice) LoadSignedPreKey(_ context.Context, id uint32) (*record.SignedPreKey, error) {
	return d.signed[id], nil
}

func (d *libDevice) LoadSignedPreKeys(context.Context) ([]*record.SignedPreKey, error) {
	return nil, nil
}

func (d *libDevice) ContainsSignedPreKey(_ context.Context, id uint32) (bool, error) {
	return d.signed[id] != nil, nil
}

func (d *libDevice) GetIdentityKeyPair() *identity.KeyPair { return d.identity }
func (d *libDevice) GetLocalRegistrationID() uint32        { return 7 }

func (d *libDevice) SaveIdentity(_ context.Context, _ *protocol.SignalAddress, k *identity.Key) error {
	d.saved = k
	return nil
}

func (d *libDevice) IsTrustedIdentity(context.Context, *protocol.SignalAddress, *identity.Key) (bool, error) {
	return true, nil
}

// libVerifies is the library's opinion of a signature.
func libVerifies(k IdentityKey, message []byte, signature [SignatureSize]byte) bool {
	return ecc.VerifySignature(libKey(k.p), message, signature)
}
