package signal

import (
	"bytes"
	"crypto/aes"
	"errors"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// Each target's seeds are committed below testdata/fuzz; what fuzzing found is
// added there.

func FuzzParseMessage(tf *testing.F) {
	f := mutation.Of(tf)
	g := readGolden(f)
	f.Add(g.Continues)
	f.Add(g.Late)
	f.Add([]byte{wireVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		// What a strict reader reads is the same here.
		strict, err := scanFields(b[1 : len(b)-macSize])
		if err != nil {
			return
		}
		if !bytes.Equal(strict.bytes[fieldRatchetKey][1:], m.ratchet) || strict.numbers[fieldCounter] != m.counter ||
			!bytes.Equal(strict.bytes[fieldCiphertext], m.body) {
			t.Fatal("a strict reader reads something else")
		}
	})
}

func FuzzParsePreKeyMessage(tf *testing.F) {
	f := mutation.Of(tf)
	g := readGolden(f)
	f.Add(g.Begins)
	f.Add(preKeyMessageOf(0, 0, make([]byte, 33), nil, g.Continues).Data)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parsePreKeyMessage(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		strict, err := scanFields(b[1:])
		if err != nil || strict.bytes[fieldPreKeyID] != nil {
			return
		}
		if !bytes.Equal(strict.bytes[fieldBaseKey], m.base.Bytes()) || !bytes.Equal(strict.bytes[fieldIdentityKey], m.identity.Bytes()) ||
			strict.numbers[fieldPreKeyID] != m.preKeyID || strict.isNumber(fieldPreKeyID) != m.hasPreKey ||
			strict.numbers[fieldSignedPreKeyID] != m.signedPreKey || !bytes.Equal(strict.bytes[fieldMessage], append(bytes.Clone(m.message.authenticated), m.message.code...)) {
			t.Fatal("a strict reader reads something else")
		}
	})
}

func FuzzDecrypt(tf *testing.F) {
	f := mutation.Of(tf)
	g := readGolden(f)
	bob := g.device(f)
	record := bob.record()
	f.Add(g.Continues, false)
	f.Add(g.Late, false)
	f.Add(g.Begins, true)
	f.Add(flipped(Ciphertext{Data: g.Continues}, -1).Data, false)
	f.Add(flipped(Ciphertext{Data: g.Begins}, -20).Data, true)
	f.Fuzz(func(t *testing.T, b []byte, preKey bool) {
		for _, r := range []*Record{nil, record} {
			got, err := Decrypt(bob.local, r, bob, Ciphertext{Data: b, PreKey: preKey}, start)
			if err != nil {
				if Class(err) == "other" {
					t.Fatalf("%v has no class", err)
				}
				continue
			}
			// Nobody can make a message that verifies but the peers of the seeds, who
			// wrote these texts.
			switch string(got.Plaintext) {
			case "late", "continues", "begins":
			default:
				t.Fatalf("forged: %q", got.Plaintext)
			}
		}
		after, err := record.MarshalBinary()
		if err != nil || !bytes.Equal(after, g.Record) {
			t.Fatalf("the record changed: %v", err)
		}
	})
}

// FuzzDecryptAuthentic hands over what only the peer can make: messages whose code
// verifies, with any body, any padding, any fields beside the known ones, or anything
// at all inside.
func FuzzDecryptAuthentic(tf *testing.F) {
	f := mutation.Of(tf)
	authentic := newAuthentic(f, Legacy)
	genuine := authentic.forger.fields(authentic.forger.encrypted(padded("genuine")))
	f.Add([]byte{wireVersion}, append(make([]byte, 13), 2, 3, 3))
	f.Fuzz(func(t *testing.T, b, plaintext []byte) {
		authentic.fuzz(t, b, plaintext)
		// OMEMO2 refuses fields that repeat another.
		if text, ok := authentic.open(t, slices.Concat(genuine, b)); ok && string(text) != "genuine" {
			t.Fatalf("with more fields it reads %q", text)
		}
	})
}

// FuzzDecryptAuthenticOMEMO2 is FuzzDecryptAuthentic for the other format.
func FuzzDecryptAuthenticOMEMO2(tf *testing.F) {
	f := mutation.Of(tf)
	authentic := newAuthentic(f, OMEMO2)
	f.Fuzz(authentic.fuzz)
}

// authentic is a session and its peer, who is hostile.
type authentic struct {
	bob    *device
	record *Record
	forger *forger
}

func newAuthentic(f *mutation.F, format Format) authentic {
	alice, bob := pairOf(f, format)
	f.Add([]byte{}, []byte{})
	f.Add(appendNumber(nil, 9, 1), padded("text"))
	f.Add(make([]byte, 17), bytes.Repeat([]byte{17}, 32))
	return authentic{bob, bob.record(), alice.forger()}
}

// open decrypts what the forger makes of a serialised message.
func (a authentic) open(t *testing.T, serialised []byte) ([]byte, bool) {
	a.forger.t = t
	got, err := Decrypt(a.bob.local, a.record, a.bob, a.forger.authentic(serialised), start)
	if err != nil && Class(err) == "other" {
		t.Fatalf("%v has no class", err)
	}
	return got.Plaintext, err == nil
}

func (a authentic) fuzz(t *testing.T, b, plaintext []byte) {
	a.forger.t = t
	a.open(t, bytes.Clone(b))
	a.open(t, a.forger.fields(b))
	if len(plaintext) > 0 && len(plaintext)%aes.BlockSize == 0 {
		if text, ok := a.open(t, a.forger.fields(a.forger.encrypted(plaintext))); ok && !bytes.Equal(padded(string(text)), plaintext) {
			t.Fatal("padding is read that is not written")
		}
	}
	if after, err := a.record.MarshalBinary(); err != nil || !bytes.Equal(after, a.bob.stored) {
		t.Fatalf("the record changed: %v", err)
	}
}

func FuzzParseRecord(tf *testing.F) {
	f := mutation.Of(tf)
	g := readGolden(f)
	f.Add(g.Record)
	f.Add([]byte{recordVersion, 0})
	f.Add([]byte{recordVersion, currentFlag | 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		again, err := r.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("the record is written otherwise than it was read: %v", err)
		}
		// Whatever a record says, using it does not crash.
		local := Local{Identity: &IdentityKeyPair{key: privateKey{scalar: [32]byte{1}}}, RegistrationID: 1}
		if r.HasSession() {
			local.Identity.key.public = r.current.local
		}
		if c, next, err := Encrypt(r, local, []byte("x")); err == nil {
			_, _ = Decrypt(local, next, brokenSource{ErrUnknownPreKey}, c, start)
		}
		_, _ = Decrypt(local, r, brokenSource{ErrUnknownPreKey}, Ciphertext{Data: g.Continues}, start)
		r.Discard(start)
	})
}

func FuzzParseKeys(tf *testing.F) {
	f := mutation.Of(tf)
	g := readGolden(f)
	f.Add(g.Identity)
	f.Add(g.SignedPreKey)
	f.Add(g.PreKey)
	f.Add(append([]byte{keyType}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParseIdentityKeyPair(b); err == nil {
			again, err := k.MarshalBinary()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("identity is written otherwise: %v", err)
			}
		}
		if k, err := ParsePreKey(b); err == nil {
			again, err := k.MarshalBinary()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("pre-key is written otherwise: %v", err)
			}
		}
		if k, err := ParseSignedPreKey(b); err == nil {
			again, err := k.MarshalBinary()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("signed pre-key is written otherwise: %v", err)
			}
		}
		if k, err := ParsePublicKey(b); err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Fatal("public key is written otherwise")
		}
	})
}

func FuzzX25519(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	for _, u := range smallOrders() {
		f.Add(append(bytes.Repeat([]byte{1}, 32), u[:]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 64 {
			compareX25519(t, [32]byte(b), [32]byte(b[32:]))
		}
	})
}

func FuzzVerify(tf *testing.F) {
	f := mutation.Of(tf)
	// Of libsignal's own tests, as in TestSignatureOfASignedPreKeyVerifies.
	f.Add(unhex(f, "05ab7e717d4a163b7d9a1d8071dfe9dcf8cdcd1cea3339b6356be84d887e322c64"),
		unhex(f, "05edce9d9c415ca78cb7252e72c2c4a554d3eb29485a0e1d503118d1a82d99fb4a"),
		unhex(f, "5de88ca9a89b4a115da79109c67c9c7464a3e4180274f1cb8c63c2984e286dfb"+
			"ede82deb9dcd9fae0bfbb821569b3d9001bd8130cd11d486cef047bd60b86e88"))
	f.Add(make([]byte, 33), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, key, message, signature []byte) {
		k, err := ParseIdentityKey(key)
		if err != nil || len(signature) != SignatureSize {
			return
		}
		ours := k.Verify(message, [SignatureSize]byte(signature)) == nil
		if theirs := libVerifies(k, message, [SignatureSize]byte(signature)); ours != theirs {
			t.Fatalf("we say %t, the library %t", ours, theirs)
		}
	})
}

func FuzzParseOMEMO2(tf *testing.F) {
	f := mutation.Of(tf)
	for _, m := range readTwomemo(f).Messages {
		f.Add(m.Data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseOMEMO2(b)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("%v is not ErrMalformed", err)
		}
		if err == nil && (len(m.code) != omemo2MACSize || len(m.ratchet) != 32 || !wholeBlocks(m.body)) {
			t.Fatal("a message is read that is none")
		}
		k, err := parseKeyExchange(b)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("%v is not ErrMalformed", err)
		}
		if err == nil && (!k.hasPreKey || k.base.IsZero() || k.identity.IsZero()) {
			t.Fatal("a key exchange is read that is none")
		}
	})
}

func FuzzDecryptOMEMO2(tf *testing.F) {
	f := mutation.Of(tf)
	v := readTwomemo(f)
	bob := v.device(f)
	texts := map[string]bool{}
	for i, m := range v.Messages {
		f.Add(m.Data, m.Begins)
		texts[string(m.Text)] = true
		if i == 0 {
			bob.wants(m.ciphertext(), string(m.Text))
		}
	}
	record, fresh := bob.record(), v.device(f)
	f.Fuzz(func(t *testing.T, b []byte, preKey bool) {
		for _, r := range []*Record{nil, record} {
			got, err := Decrypt(fresh.local, r, fresh, Ciphertext{Format: OMEMO2, Data: b, PreKey: preKey}, start)
			if err != nil && Class(err) == "other" {
				t.Fatalf("%v has no class", err)
			}
			// Nobody can make a message that verifies but the peer of the seeds.
			if err == nil && !texts[string(got.Plaintext)] {
				t.Fatalf("forged: %q", got.Plaintext)
			}
		}
	})
}

func FuzzParseEdwardsIdentityKey(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(make([]byte, 32))
	f.Add(append([]byte{9}, make([]byte, 31)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseEdwardsIdentityKey(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		if !bytes.Equal(k.Edwards(), b) {
			t.Fatal("the key is written otherwise than it was read")
		}
		if same, err := ParseIdentityKey(k.Bytes()); err != nil || !same.Equal(k) {
			t.Fatalf("its Curve25519 form is not read: %v", err)
		}
	})
}
