package signal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	must(t, err)
	return b
}

// hexKey is a private key whose scalar is given.
func hexKey(t testing.TB, s string) privateKey {
	k := privateKey{scalar: [privateKeySize]byte(unhex(t, s))}
	k.derive()
	return k
}

// hexPoint is a public key of any bytes, as agree may be handed it.
func hexPoint(t testing.TB, s string) PublicKey { return PublicKey{u: [32]byte(unhex(t, s))} }

func TestX25519AgreesWithRFC7748(t *testing.T) {
	vectors := map[string][3]string{ // scalar, u, result
		"section 5.2, first": {
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		"section 5.2, second": {
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
		"section 6.1": {
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
		},
	}
	for name, v := range vectors {
		k, p := hexKey(t, v[0]), hexPoint(t, v[1])
		var shared secret
		must(t, k.agree(&shared, &p))
		if !bytes.Equal(shared[:], unhex(t, v[2])) {
			t.Errorf("%s: got %x", name, shared)
		}
	}
	k := hexKey(t, vectors["section 6.1"][0])
	if !bytes.Equal(k.public.u[:], unhex(t, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")) {
		t.Errorf("public key: got %x", k.public.u)
	}
}

func TestX25519AgreesWithRFC7748AfterAThousandSteps(t *testing.T) {
	k := privateKey{scalar: [32]byte{9}, public: PublicKey{u: [32]byte{9}}}
	u := PublicKey{u: [32]byte{9}}
	for range 1000 {
		var next secret
		must(t, k.agree(&next, &u))
		u.u, k.scalar = k.scalar, next
	}
	if want := unhex(t, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"); !bytes.Equal(k.scalar[:], want) {
		t.Errorf("got %x", k.scalar)
	}
}

func TestX25519AgreesWithTheStandardLibrary(t *testing.T) {
	for range 200 {
		var k privateKey
		must(t, k.generate())
		var point [32]byte
		_, _ = rand.Read(point[:])
		compareX25519(t, k.scalar, point)
	}
}

// compareX25519 fails the test unless this package and crypto/ecdh agree on a
// scalar and any string of bytes as the point.
func compareX25519(t *testing.T, scalar, point [32]byte) {
	t.Helper()
	theirs, err := ecdh.X25519().NewPrivateKey(scalar[:])
	must(t, err)
	if scalar == [32]byte{} {
		return // which is no key here
	}
	k := privateKey{scalar: scalar}
	k.derive()
	if !bytes.Equal(theirs.PublicKey().Bytes(), k.public.u[:]) {
		t.Fatalf("scalar %x: public key %x", scalar, k.public.u)
	}
	peer, err := ecdh.X25519().NewPublicKey(point[:])
	must(t, err)
	want, refused := theirs.ECDH(peer)
	var shared secret
	err = k.agree(&shared, &PublicKey{u: point})
	if (err == nil) != (refused == nil) || (err == nil && !bytes.Equal(shared[:], want)) {
		t.Fatalf("scalar %x, point %x: %x, %v", scalar, point, shared, err)
	}
	if err != nil && !errors.Is(err, ErrMalformed) {
		t.Fatalf("scalar %x, point %x: %v", scalar, point, err)
	}
}

func TestHMACAgreesWithRFC4231(t *testing.T) {
	vectors := map[string][3]string{ // key, message, code
		"1": {
			"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		},
		"2": {
			"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
		"3": {
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
		},
	}
	for name, v := range vectors {
		var key secret
		copy(key[:], unhex(t, v[0])) // HMAC pads a short key with zeroes itself
		if got := hmacShort(&key, unhex(t, v[1])); !bytes.Equal(got[:], unhex(t, v[2])) {
			t.Errorf("case %s: got %x", name, got)
		}
	}
}

func TestHKDFAgreesWithRFC5869(t *testing.T) {
	vectors := map[string][5]string{ // input, salt, info, extracted, output
		"A.1": {
			"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
			"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
		},
		"A.3": {
			"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
			"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
		},
	}
	for name, v := range vectors {
		var salt secret
		copy(salt[:], unhex(t, v[1]))
		extracted := hmacShort(&salt, unhex(t, v[0]))
		if !bytes.Equal(extracted[:], unhex(t, v[3])) {
			t.Errorf("%s: extracted %x", name, extracted)
		}
		out := make([]byte, len(v[4])/2)
		if expand(out, &extracted, string(unhex(t, v[2]))); !bytes.Equal(out, unhex(t, v[4])) {
			t.Errorf("%s: got %x", name, out)
		}
	}
}

func TestKeyDerivationAgreesWithTheStandardLibrary(t *testing.T) {
	var seed, key secret
	_, _ = rand.Read(seed[:])
	_, _ = rand.Read(key[:])
	want, err := hkdf.Key(sha256.New, seed[:], nil, infoMessage, 80)
	must(t, err)
	keys := deriveMessageKeys(Legacy, &seed)
	if !bytes.Equal(append(append(bytes.Clone(keys.cipher[:]), keys.mac[:]...), keys.iv[:]...), want) {
		t.Error("message keys differ")
	}
	for n := range shortMAC + 1 {
		mac := hmac.New(sha256.New, key[:])
		mac.Write(make([]byte, n))
		if got := hmacShort(&key, make([]byte, n)); !hmac.Equal(got[:], mac.Sum(nil)) {
			t.Errorf("HMAC of %d bytes differs", n)
		}
	}
}

// The vectors below are those of libsignal-protocol-c and -java's own tests.

func TestChainAgreesWithLibsignal(t *testing.T) {
	chain := secret(unhex(t, "8ab72d6f4cc5ac0d387eaf463378ddb28edd07385b1cb01250c715982e7ad48f"))
	seed := messageSeed(&chain)
	keys, next := deriveMessageKeys(Legacy, &seed), nextChain(&chain)
	if !bytes.Equal(keys.cipher[:], unhex(t, "bf51e9d75e0e31031051f82a2491ffc084fa298b7793bd9db620056febf45217")) ||
		!bytes.Equal(keys.mac[:], unhex(t, "c6c77d6a73a354337a56435e34607dfe48e3ace14e77314dc6abc172e7a7030b")) {
		t.Error("message keys differ")
	}
	if !bytes.Equal(next[:], unhex(t, "28e8f8fee54b801eef7c5cfb2f17f32c7b334485bbb70fac6ec10342a246d15d")) {
		t.Error("next chain key differs")
	}
}

func TestX3DHAgreesWithLibsignal(t *testing.T) {
	bob := Local{Identity: &IdentityKeyPair{key: hexKey(t, "4875cc69ddf8ea0719ec947d61081135868d5fd801f02c0225e516df2156605e")}}
	signed := &SignedPreKey{id: 1, key: hexKey(t, "583900131fb727998b7803fe6ac22cc591f342e4e42a8c8d5d78194209b8d253")}
	alice := Local{Identity: &IdentityKeyPair{key: hexKey(t, "9040f0d4e09cf38f6dc7c13779c908c015a1da4fa78737a080eb0a6f4f5f8f58")}}
	identity := alice.Identity.Public()
	for public, chain := range map[string]string{
		// The older vector's base key pair is none: its private half is not clamped.
		"472d1fb1a9862c3af6beaca8920277e2b26f4a79213ec7c906aeb35e03cf8950": "9797caca53c989bbe229a40ca7727010eb2604fc14945d77958a0aeda088b44d",
		"e2c05860f2ac6b2b57ba564b421ffe71e4b128c591e46e0491cc9b33dbf22a27": "ab9be50e5cb22a925446ab90ee5670545f4fd32902459ec274b6ad0ae5d6031a",
	} {
		s, err := newResponder(bob, responderKeys{signed: signed}, Legacy, &identity, new(hexPoint(t, public)))
		must(t, err)
		if !bytes.Equal(s.send.key[:], unhex(t, chain)) {
			t.Errorf("responder's chain key is %x", s.send.key)
		}
	}
	bundle := Bundle{Identity: bob.Identity.Public(), SignedPreKey: signed.Public()}
	s, err := initiatorWith(alice, &bundle, hexKey(t, "10ae7c64d1e61cd596b76a0db5012673391cae66edbfcf073b4da80516a47449"))
	must(t, err)
	if !bytes.Equal(s.receive[0].key[:], unhex(t, "ab9be50e5cb22a925446ab90ee5670545f4fd32902459ec274b6ad0ae5d6031a")) {
		t.Errorf("initiator's chain key is %x", s.receive[0].key)
	}
}

func TestXEdDSAAgreesWithLibsignal(t *testing.T) {
	scalar := [32]byte{8: 189, 31: 0x40}
	k := privateKey{scalar: scalar}
	k.derive()
	message := make([]byte, 200)
	got, err := signWith(&scalar, message, new([64]byte))
	must(t, err)
	want := unhex(t, "11c7f3e6c4df9e8a5150e1db3b30f92de3a3b3aa438656545fa7390f4bcc7bb2"+
		"6c431d9e90643e4f0eaa0e9c557766fa69ada576d63dcaf2ac326c11d0b97702")
	if !bytes.Equal(got[:], want) {
		t.Errorf("signature is %x", got)
	}
	// The form with a sign bit, which libsignal's clients write.
	signed := [SignatureSize]byte(unhex(t, "cf873d0379ac20e8893e5567ee0f8951f8db840d26b243b463526689d01ca718"+
		"ac189fb1678574ebdde569330659448b0bd6c1973f7d780ab39518626803d782"))
	for name, signature := range map[string][SignatureSize]byte{"without sign bit": got, "with sign bit": signed} {
		if !verify(&k.public.u, message, &signature) {
			t.Errorf("%s: does not verify", name)
		}
		for i := range signature {
			wrong := signature
			wrong[i] ^= 1
			if verify(&k.public.u, message, &wrong) {
				t.Errorf("%s: verifies with a change in byte %d", name, i)
			}
		}
	}
	if verify(new([32]byte(bytes.Repeat([]byte{0xff}, 32))), message, &got) {
		t.Error("verifies with another key")
	}
}

func TestSignatureOfASignedPreKeyVerifies(t *testing.T) {
	identity, err := ParseIdentityKey(unhex(t, "05ab7e717d4a163b7d9a1d8071dfe9dcf8cdcd1cea3339b6356be84d887e322c64"))
	must(t, err)
	key := unhex(t, "05edce9d9c415ca78cb7252e72c2c4a554d3eb29485a0e1d503118d1a82d99fb4a")
	signature := [SignatureSize]byte(unhex(t, "5de88ca9a89b4a115da79109c67c9c7464a3e4180274f1cb8c63c2984e286dfb"+
		"ede82deb9dcd9fae0bfbb821569b3d9001bd8130cd11d486cef047bd60b86e88"))
	must(t, identity.Verify(key, signature))
	key[5] ^= 1
	if err := identity.Verify(key, signature); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("another key: %v, want ErrUnauthenticated", err)
	}
}
