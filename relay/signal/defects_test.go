package signal

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/util/keyhelper"
)

// The tests of this file are one for each defect, D1 to D16, that was found in
// go.mau.fi/libsignal v0.2.1. Each shows first that the library as shipped has the
// defect under the test's very steps, so that the test tells the two apart; a
// library that is mended fails there, and the line can go.

// libraryStillDoes fails the test when the library does not have the defect.
func libraryStillDoes(t *testing.T, defect bool) {
	t.Helper()
	if !defect {
		t.Error("the library does not have this defect: the steps prove nothing")
	}
}

func TestD01ForgedMessageLeavesTheSessionAlone(t *testing.T) {
	steps := func(t *testing.T, alice, bob end) error {
		c := alice.seal("genuine")
		if _, err := bob.open(flipped(c, -1)); err == nil {
			t.Fatal("a forged message decrypts")
		}
		_, err := bob.open(c)
		return err
	}
	la, lb := libPair(t, true)
	libraryStillDoes(t, steps(t, la, lb) != nil)

	alice, bob := pair(t)
	if err := steps(t, alice, bob); err != nil {
		t.Errorf("the genuine message does not decrypt any more: %v", err)
	}
}

// crossing has a message of an archived session arrive, with a ratchet key of its
// own, before one of the current session, and returns what becomes of the latter.
func crossing(t *testing.T, alice, bob end) error {
	t.Helper()
	wants(t, bob, alice.seal("turn"), "turn")
	late := bob.seal("in the old session")
	alice.initiate(bob.bundle())
	wants(t, bob, alice.seal("start over"), "start over")
	current := bob.seal("in the new session")
	wants(t, alice, late, "in the old session")
	_, err := alice.open(current)
	return err
}

func TestD02ArchivedSessionDoesNotSpoilTheCurrentOne(t *testing.T) {
	la, lb := libPair(t, false)
	libraryStillDoes(t, crossing(t, la, lb) != nil)

	alice, bob := pair(t)
	if err := crossing(t, alice, bob); err != nil {
		t.Errorf("a message of the current session is lost: %v", err)
	}
}

func TestD03PromotedSessionIsNotLeftBehind(t *testing.T) {
	la, lb := libPair(t, false)
	_ = crossing(t, la, lb)
	r, err := record.NewSessionFromBytes(la.stored, la.serializer.Session, la.serializer.State)
	must(t, err)
	libraryStillDoes(t, len(r.PreviousSessionStates()) > 1)

	alice, bob := pair(t)
	must(t, crossing(t, alice, bob))
	if n := len(alice.record().all()); n != 2 {
		t.Errorf("record holds %d sessions, want 2", n)
	}
}

func TestD04PacketsWithEmptyPartsAreMalformed(t *testing.T) {
	key := newDevice(t).local.Identity.Public().Bytes()
	alice, bob := pair(t)
	inner := alice.seal("inside").Data
	packets := map[string]Ciphertext{
		"empty":              {},
		"empty pre-key":      {PreKey: true},
		"version only":       {Data: []byte{wireVersion}},
		"empty base key":     preKeyMessageOf(1, 1, []byte{}, key, inner),
		"empty identity key": preKeyMessageOf(1, 1, key, []byte{}, inner),
		"empty message":      preKeyMessageOf(1, 1, key, key, []byte{}),
		"short key":          preKeyMessageOf(1, 1, key[:20], key, inner),
		"foreign key type":   preKeyMessageOf(1, 1, append([]byte{4}, key[1:]...), key, inner),
	}
	library := newLibDevice(t)
	crashed := 0
	for name, c := range packets {
		if panics(func() { _, _ = library.open(c) }) {
			crashed++
		}
		if _, err := bob.open(c); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	libraryStillDoes(t, crashed >= 3)
}

func TestD05AuthenticBodyOfWrongLengthOrPaddingIsMalformed(t *testing.T) {
	library := newLibDevice(t)
	liar := newDevice(t)
	liar.initiate(library.bundle())
	wants(t, library, liar.seal("hello"), "hello")
	liar.wants(library.seal("yes"), "yes")
	f := liar.forger()
	libraryStillDoes(t, panics(func() { _, _ = library.open(f.authentic(f.fields(make([]byte, 17)))) }))

	alice, bob := pair(t)
	f = alice.forger()
	bodies := map[string][]byte{
		"no whole blocks":  make([]byte, 17),
		"empty":            {},
		"padding zero":     f.encrypted(make([]byte, 16)),
		"padding too long": f.encrypted(bytes.Repeat([]byte{17}, 32)),
		"padding uneven":   f.encrypted(append(make([]byte, 13), 2, 3, 3)),
	}
	before := bob.state()
	for name, body := range bodies {
		if _, err := bob.open(f.authentic(f.fields(body))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if !before.equal(bob.state()) {
		t.Error("the session changed")
	}
}

func TestD06ForgedPreKeyMessageNamesNoIdentity(t *testing.T) {
	attacker, victim := newDevice(t), newDevice(t)
	attacker.initiate(victim.bundle())
	got, err := Decrypt(victim.local, nil, victim, flipped(attacker.seal("trust me"), -12), victim.now)
	if !errors.Is(err, ErrUnauthenticated) {
		t.Fatalf("decrypting gave %v, want ErrUnauthenticated", err)
	}
	if !got.Identity.IsZero() || got.Record != nil || got.Plaintext != nil {
		t.Error("a forged message gives a result")
	}

	library := newLibDevice(t)
	attacker.stored = nil
	attacker.initiate(library.bundle())
	_, err = library.open(flipped(attacker.seal("trust me"), -12))
	libraryStillDoes(t, err != nil && library.saved != nil)
}

func TestD07CodeIsVerifiedOverTheBytesReceived(t *testing.T) {
	reencode := func(c Ciphertext) Ciphertext {
		// The counter, one byte at index 37, as two bytes: another spelling of the
		// same number, which the sender did not authenticate.
		data := append([]byte(nil), c.Data[:37]...)
		return Ciphertext{Data: append(append(data, c.Data[37]|0x80, 0), c.Data[38:]...)}
	}
	la, lb := libPair(t, false)
	_, err := lb.open(reencode(la.seal("spelt otherwise")))
	libraryStillDoes(t, err == nil)

	alice, bob := pair(t)
	if _, err := bob.open(reencode(alice.seal("spelt otherwise"))); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("another spelling gives %v, want ErrUnauthenticated", err)
	}
	f := alice.forger()
	extended := appendNumber(f.fields(f.encrypted(padded("of the future"))), 9, 1)
	bob.wants(f.authentic(extended), "of the future")
}

func TestD08PreKeyIDsStartAtOne(t *testing.T) {
	if _, err := GeneratePreKeys(0, 1); err == nil {
		t.Error("a pre-key with id 0 is made")
	}
	alice, bob := newDevice(t), newDevice(t)
	if _, err := GenerateSignedPreKey(0, alice.local.Identity, start); err == nil {
		t.Error("a signed pre-key with id 0 is made")
	}
	withZero := func(c Ciphertext) Ciphertext {
		return Ciphertext{Data: appendNumber(append([]byte(nil), c.Data...), fieldPreKeyID, 0), PreKey: true}
	}
	clear(bob.pre)
	alice.initiate(bob.bundle())
	if _, err := bob.open(withZero(alice.seal("zero"))); !errors.Is(err, ErrUnknownPreKey) {
		t.Errorf("pre-key 0 gives %v, want ErrUnknownPreKey", err)
	}

	library := newLibDevice(t)
	clear(library.pre)
	alice.stored = nil
	alice.initiate(library.bundle())
	_, err := library.open(withZero(alice.seal("zero")))
	libraryStillDoes(t, err == nil)
}

// previousCounter reads the field from a message.
func previousCounter(t *testing.T, c Ciphertext) uint32 {
	t.Helper()
	f, err := scanFields(c.Data[1 : len(c.Data)-macSize])
	must(t, err)
	return f.numbers[fieldPreviousCounter]
}

func TestD09FirstReplyHasPreviousCounterZero(t *testing.T) {
	steps := func(alice, bob end) uint32 {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		return previousCounter(t, bob.seal("yes"))
	}
	libraryStillDoes(t, steps(newLibDevice(t), newLibDevice(t)) == 1<<32-1)
	if n := steps(newDevice(t), newDevice(t)); n != 0 {
		t.Errorf("previous counter is %d, want 0", n)
	}
}

func TestPreviousCounterIsTheLastIndexOfTheChainBefore(t *testing.T) {
	alice, bob := pair(t)
	for range 3 {
		bob.wants(alice.seal("more"), "more")
	}
	alice.wants(bob.seal("turn"), "turn")
	if n := previousCounter(t, alice.seal("next chain")); n != 2 {
		t.Errorf("previous counter is %d, want 2", n)
	}
}

func TestD10GeneratorsKeepTheirBounds(t *testing.T) {
	keys, err := GeneratePreKeys(10, 5)
	must(t, err)
	if len(keys) != 5 || keys[0].ID() != 10 || keys[4].ID() != 14 {
		t.Errorf("got %d keys", len(keys))
	}
	around, err := GeneratePreKeys(MaxPreKeyID, 2)
	must(t, err)
	if around[0].ID() != MaxPreKeyID || around[1].ID() != 1 {
		t.Errorf("ids go %d, %d; want %d, 1", around[0].ID(), around[1].ID(), MaxPreKeyID)
	}
	for range 1000 {
		id, err := GenerateRegistrationID()
		must(t, err)
		if id < 1 || id > MaxRegistrationID {
			t.Fatalf("registration id %d", id)
		}
	}

	shipped, err := keyhelper.GeneratePreKeys(10, 5, serialize.NewProtoBufSerializer().PreKeyRecord)
	must(t, err)
	over := false
	for range 20 {
		over = over || keyhelper.GenerateRegistrationID() > MaxRegistrationID
	}
	libraryStillDoes(t, len(shipped) == 0 && over)
}

func TestD11EncryptingLeavesTheCallersBufferAlone(t *testing.T) {
	buffer := bytes.Repeat([]byte{0xaa}, 64)
	spoilt := func() bool { return !bytes.Equal(buffer, bytes.Repeat([]byte{0xaa}, 64)) }

	alice, _ := pair(t)
	c, _, err := Encrypt(alice.record(), alice.local, buffer[:5])
	must(t, err)
	data := bytes.Clone(c.Data)
	if spoilt() {
		t.Error("encrypting wrote to the caller's buffer")
	}
	if clear(buffer); !bytes.Equal(c.Data, data) {
		t.Error("the message is in the caller's buffer")
	}

	buffer = bytes.Repeat([]byte{0xaa}, 64)
	la, _ := libPair(t, false)
	_, err = la.cipher().Encrypt(context.Background(), buffer[:5])
	must(t, err)
	libraryStillDoes(t, spoilt())
}

func TestD12SharedSecretOfZeroIsRefused(t *testing.T) {
	alice, bob := newDevice(t), newDevice(t)
	for _, u := range smallOrders() {
		point := PublicKey{u: u}
		if _, err := ParsePublicKey(append([]byte{keyType}, u[:]...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("parsing %x: %v, want ErrMalformed", u, err)
		}
		var shared secret
		if err := alice.local.Identity.key.agree(&shared, &point); !errors.Is(err, ErrMalformed) {
			t.Errorf("agreeing with %x: %v, want ErrMalformed", u, err)
		}
		if point.IsZero() {
			continue
		}
		b := bob.bundle()
		b.SignedPreKey = point
		b.Signature, _ = bob.local.Identity.Sign(point.Bytes())
		if _, err := Initiate(alice.local, nil, b, start); !errors.Is(err, ErrMalformed) {
			t.Errorf("beginning a session with %x: %v, want ErrMalformed", u, err)
		}
	}

	b := bob.bundle()
	b.SignedPreKey = PublicKey{u: [32]byte{1}}
	b.Signature, _ = bob.local.Identity.Sign(b.SignedPreKey.Bytes())
	library := newLibDevice(t)
	libraryStillDoes(t, library.builder().ProcessBundle(context.Background(), libBundle(b)) == nil)
}

func TestD16EncryptingWithoutASessionIsAnError(t *testing.T) {
	alice, _ := pair(t)
	for name, r := range map[string]*Record{"nil": nil, "empty": {}, "discarded": alice.record().Discard(start)} {
		if _, _, err := Encrypt(r, alice.local, []byte("hello")); !errors.Is(err, ErrNoSession) {
			t.Errorf("%s: %v, want ErrNoSession", name, err)
		}
	}
	libraryStillDoes(t, panics(func() { newLibDevice(t).seal("hello") }))
}

func TestD15SkippedKeysAreBoundedAndExpire(t *testing.T) {
	// Three chains of which all but the last message is held back.
	skip := func(alice, bob end, n int) (held []Ciphertext) {
		for range 3 {
			for range n {
				held = append(held, alice.seal("held back"))
			}
			wants(t, bob, alice.seal("ahead"), "ahead")
			wants(t, alice, bob.seal("turn"), "turn")
		}
		return held
	}
	alice, bob := pair(t)
	held := skip(alice, bob, 400)
	if n := bob.record().current.countSkipped(); n != MaxSkipped {
		t.Errorf("%d keys are kept, want %d", n, MaxSkipped)
	}
	if len(bob.stored) > MaxRecordBytes {
		t.Errorf("record has %d bytes, want %d at most", len(bob.stored), MaxRecordBytes)
	}
	if _, err := bob.open(held[0]); !errors.Is(err, ErrReplay) {
		t.Errorf("a message whose key gave way: %v, want ErrReplay", err)
	}
	bob.wants(held[1199], "held back")
	bob.now = bob.now.Add(SkippedLifetime + time.Second)
	bob.wants(alice.seal("later"), "later")
	if n := bob.record().current.countSkipped(); n != 0 {
		t.Errorf("%d keys outlive their time", n)
	}
	if _, err := bob.open(held[1198]); !errors.Is(err, ErrReplay) {
		t.Errorf("a message whose key expired: %v, want ErrReplay", err)
	}

	la, lb := libPair(t, false)
	skip(la, lb, 400)
	libraryStillDoes(t, len(lb.stored) > 2*MaxRecordBytes)
}
