package signal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"filippo.io/edwards25519"
)

// twomemo is what python-twomemo, a client of another lineage, sent to a device of ours.
type twomemo struct {
	Identity, SignedPreKey, PreKey []byte // ours
	Messages                       []twomemoMessage
	Record                         []byte // after the first message, as an earlier build stored it
}

type twomemoMessage struct {
	Begins     bool
	Data, Text []byte
}

func readTwomemo(t testing.TB) twomemo {
	t.Helper()
	b, err := os.ReadFile("testdata/twomemo.json")
	must(t, err)
	var v twomemo
	must(t, json.Unmarshal(b, &v))
	return v
}

// device is the device that the messages were sent to.
func (v twomemo) device(t testing.TB) *device {
	t.Helper()
	d := golden{Identity: v.Identity, SignedPreKey: v.SignedPreKey, PreKey: v.PreKey}.device(t)
	d.format, d.stored = OMEMO2, nil
	return d
}

func (m twomemoMessage) ciphertext() Ciphertext {
	return Ciphertext{Format: OMEMO2, PreKey: m.Begins, Data: m.Data}
}

func TestOMEMO2_ReadsWhatTwomemoSent(t *testing.T) {
	v := readTwomemo(t)
	bob := v.device(t)
	for _, m := range v.Messages {
		bob.wants(m.ciphertext(), string(m.Text))
	}
}

func TestOMEMO2_RecordOfAnEarlierBuildIsRead(t *testing.T) {
	v := readTwomemo(t)
	bob := v.device(t)
	bob.stored = v.Record
	for _, m := range v.Messages[1:] {
		bob.wants(m.ciphertext(), string(m.Text))
	}
	if again, err := bob.record().MarshalBinary(); err != nil || len(again) != len(bob.stored) {
		t.Errorf("the record is written otherwise than it was read: %v", err)
	}
}

func TestOMEMO2_KeyExchangeWithoutAPreKeyIsRefused(t *testing.T) {
	alice, bob := newDeviceOf(t, OMEMO2), newDeviceOf(t, OMEMO2)
	clear(bob.pre)
	if _, err := Initiate(alice.local, nil, bob.bundle(), start); !errors.Is(err, ErrMalformed) {
		t.Errorf("a session begins without one: %v", err)
	}
	bob = newDeviceOf(t, OMEMO2)
	alice.initiate(bob.bundle())
	c := alice.seal("hello")
	_, n := splitField(t, c.Data)
	c.Data = c.Data[n:]
	if _, err := bob.open(c); !errors.Is(err, ErrMalformed) {
		t.Errorf("one without it: %v, want ErrMalformed", err)
	}
}

// splitField returns a message's first field and its length with the tag.
func splitField(t *testing.T, b []byte) (field []byte, n int) {
	t.Helper()
	s := schema{none, none, none, none, none, none}
	for n = 1; n < len(b); n++ {
		if _, ok := s.read(b[:n]); ok {
			return b[:n], n
		}
	}
	t.Fatal("no field")
	return nil, 0
}

func TestOMEMO2_RepeatedFieldsAreMalformed(t *testing.T) {
	alice, bob := pairOf(t, OMEMO2)
	c := alice.seal("hello")
	first, _ := splitField(t, c.Data)
	for name, data := range map[string][]byte{
		"a field twice":            append(bytes.Clone(c.Data), first...),
		"a field of another type":  append(appendNumber(nil, omemoCode, 1), c.Data...),
		"nothing":                  nil,
		"no message":               first,
		"a number beyond 32 bits":  {8, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"a field cut off":          c.Data[:len(c.Data)-1],
		"larger than any message":  make([]byte, MaxCiphertext+1),
		"a code of another length": appendBytes(appendBytes(nil, omemoCode, first[2:10]), omemoAuthenticated, c.Data[len(first)+2:]),
	} {
		if _, err := bob.open(Ciphertext{Format: OMEMO2, Data: data}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	bob.wants(Ciphertext{Format: OMEMO2, Data: append(appendNumber(nil, 9, 1), c.Data...)}, "hello") // an unknown field
}

// The chain that X3DH's second output would be in Legacy is nobody's in OMEMO2: a message in it must not
// verify under any key that a stranger knows.
func TestOMEMO2_NobodySendsInTheSignedPreKeysChain(t *testing.T) {
	alice, bob := newDeviceOf(t, OMEMO2), newDeviceOf(t, OMEMO2)
	b := bob.bundle()
	alice.initiate(b)
	alice.seal("hello")
	forged := alice.forger()
	forged.s.send.ratchet.public = b.SignedPreKey
	forged.s.send.index = 0
	forged.keys = deriveMessageKeys(OMEMO2, new(secret))
	c := forged.authentic(forged.fields(forged.encrypted(padded("forged"))))
	if _, err := alice.open(c); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("decrypting gave %v, want ErrUnauthenticated", err)
	}
}

func TestOMEMO2_SignBitIsPartOfWhatIsAuthenticated(t *testing.T) {
	alice, bob := newDeviceOf(t, OMEMO2), newDeviceOf(t, OMEMO2)
	alice.initiate(bob.bundle())
	c := alice.seal("hello")
	own := alice.local.Identity.Public().Edwards()
	at := bytes.Index(c.Data, own)
	if at < 0 {
		t.Fatal("the key exchange has no identity key")
	}
	other := bytes.Clone(c.Data)
	other[at+31] ^= signBit
	if _, err := bob.open(Ciphertext{Format: OMEMO2, PreKey: true, Data: other}); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("with the other sign: %v, want ErrUnauthenticated", err)
	}
	bob.wants(c, "hello")
}

// Peers whose identity is an Ed25519 key pair publish keys of either sign.
func TestOMEMO2_SessionsWithKeysOfEitherSign(t *testing.T) {
	for range 8 {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed)
		key := ed25519.NewKeyFromSeed(seed)
		public := key.Public().(ed25519.PublicKey)
		bob := newDeviceOf(t, OMEMO2)
		identity, err := ParseEdwardsIdentityKey(public)
		must(t, err)
		if !bytes.Equal(identity.Edwards(), public) {
			t.Fatal("the key is written otherwise than it was read")
		}
		b := bob.bundle()
		b.Identity, b.Signature = identity, [SignatureSize]byte(ed25519.Sign(key, b.SignedPreKey.Coordinate()))
		must(t, b.Verify())
		b.Signature[3] ^= 1
		if err := b.Verify(); !errors.Is(err, ErrUnauthenticated) {
			t.Fatalf("a spoilt signature: %v", err)
		}
	}
}

func TestEdwardsIdentityKeys(t *testing.T) {
	own, err := GenerateIdentityKeyPair()
	must(t, err)
	again, err := ParseEdwardsIdentityKey(own.Public().Edwards())
	must(t, err)
	if !again.Equal(own.Public()) || again.Fingerprint() != own.Public().Fingerprint() || !bytes.Equal(again.Bytes(), own.Public().Bytes()) {
		t.Error("another key came back")
	}
	negative := own.Public().Edwards()
	negative[31] |= signBit
	if other, err := ParseEdwardsIdentityKey(negative); err != nil || !other.Equal(own.Public()) {
		t.Errorf("the negative point is another identity: %v", err)
	}
	signature, err := own.Sign([]byte("text"))
	must(t, err)
	if !ed25519.Verify(own.Public().Edwards(), []byte("text"), signature[:]) {
		t.Error("what we sign is no EdDSA signature by the key that we publish")
	}
	identity := edwards25519.NewIdentityPoint().Bytes()
	notCanonical := bytes.Repeat([]byte{0xff}, 32)
	notCanonical[0], notCanonical[31] = 0xf0, 0x7f // 3 + p, the y of a point
	for name, b := range map[string][]byte{
		"short": identity[:31], "the neutral point": identity, "of order 2": edwards((&[32]byte{}), 0), "y beyond p": notCanonical,
		"not on the curve": {2}, "zero": make([]byte, 32),
	} {
		if _, err := ParseEdwardsIdentityKey(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func TestFormatsDoNotMix(t *testing.T) {
	alice, bob := pairOf(t, OMEMO2)
	c := alice.seal("hello")
	c.Format = Legacy
	if _, err := bob.open(c); !errors.Is(err, ErrMalformed) {
		t.Errorf("as a legacy message: %v, want ErrMalformed", err)
	}
	legacy, other := pair(t)
	if _, err := Decrypt(bob.local, other.record(), bob, alice.seal("hello"), start); !errors.Is(err, ErrNoSession) {
		t.Errorf("in a legacy record: %v, want ErrNoSession", err)
	}
	legacy.format = OMEMO2
	r, err := Initiate(other.local, other.record(), legacy.bundle(), start)
	must(t, err)
	if len(r.archived) != 0 || r.current.format != OMEMO2 {
		t.Error("a legacy session is archived in an OMEMO2 record")
	}
}
