package signal

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestKeysAreReadAsTheyWereWritten(t *testing.T) {
	d := newDevice(t)
	b, err := d.local.Identity.MarshalBinary()
	must(t, err)
	identity, err := ParseIdentityKeyPair(b)
	must(t, err)
	if !identity.Public().Equal(d.local.Identity.Public()) || identity.key.scalar != d.local.Identity.key.scalar {
		t.Error("another identity came back")
	}
	b, err = d.pre[3].MarshalBinary()
	must(t, err)
	pre, err := ParsePreKey(b)
	must(t, err)
	if pre.ID() != 3 || pre.key.scalar != d.pre[3].key.scalar || !pre.Public().Equal(d.pre[3].Public()) {
		t.Error("another pre-key came back")
	}
	b, err = d.signed[1].MarshalBinary()
	must(t, err)
	signed, err := ParseSignedPreKey(b)
	must(t, err)
	if signed.ID() != 1 || signed.Signature() != d.signed[1].Signature() || !signed.Created().Equal(start) ||
		signed.key.scalar != d.signed[1].key.scalar {
		t.Error("another signed pre-key came back")
	}
	public, err := ParseIdentityKey(d.local.Identity.Public().Bytes())
	must(t, err)
	if !public.Equal(d.local.Identity.Public()) {
		t.Error("another public key came back")
	}
}

func TestDamagedKeysAreMalformed(t *testing.T) {
	d := newDevice(t)
	parsers := map[string]struct {
		marshal func() ([]byte, error)
		parse   func([]byte) error
	}{
		"identity":       {d.local.Identity.MarshalBinary, func(b []byte) error { _, err := ParseIdentityKeyPair(b); return err }},
		"pre-key":        {d.pre[1].MarshalBinary, func(b []byte) error { _, err := ParsePreKey(b); return err }},
		"signed pre-key": {d.signed[1].MarshalBinary, func(b []byte) error { _, err := ParseSignedPreKey(b); return err }},
		"identity key": {
			func() ([]byte, error) { return d.local.Identity.Public().Bytes(), nil },
			func(b []byte) error { _, err := ParseIdentityKey(b); return err },
		},
	}
	for name, p := range parsers {
		good, err := p.marshal()
		must(t, err)
		must(t, p.parse(good))
		other := bytes.Clone(good)
		other[0]++
		for what, b := range map[string][]byte{
			"nothing": nil, "short": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "of another version": other,
			"zeroes": append(good[:1:1], make([]byte, len(good)-1)...),
		} {
			if err := p.parse(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: %v, want ErrMalformed", name, what, err)
			}
		}
	}
}

func TestKey_HasOneEncoding(t *testing.T) {
	good := newDevice(t).local.Identity.Public().Bytes()
	high := bytes.Clone(good)
	high[32] |= 0x80
	prime := append([]byte{keyType, 0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)
	belowPrime := bytes.Clone(prime)
	belowPrime[1] = 0xeb
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{
		"a key": {good, true}, "with bit 255": {high, false}, "the prime": {prime, false},
		"above the prime":  {append(append([]byte{keyType, 0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f), false},
		"below the prime":  {belowPrime, true},
		"of another curve": {append([]byte{6}, good[1:]...), false},
	} {
		if _, err := ParsePublicKey(c.b); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFingerprintIsEightGroupsOfEightDigits(t *testing.T) {
	k, err := ParseIdentityKey(unhex(t, "05ab7e717d4a163b7d9a1d8071dfe9dcf8cdcd1cea3339b6356be84d887e322c64"))
	must(t, err)
	if got, want := k.Fingerprint(), "ab7e717d 4a163b7d 9a1d8071 dfe9dcf8 cdcd1cea 3339b635 6be84d88 7e322c64"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (IdentityKey{}).Fingerprint(); got != "" {
		t.Errorf("no key: got %q", got)
	}
}

func TestBundlesAreVerified(t *testing.T) {
	bob, mallory := newDevice(t), newDevice(t)
	must(t, bob.bundle().Verify())
	cases := map[string]struct {
		spoil func(*Bundle)
		want  error
	}{
		"another identity":      {func(b *Bundle) { b.Identity = mallory.local.Identity.Public() }, ErrUnauthenticated},
		"another signed key":    {func(b *Bundle) { b.SignedPreKey = mallory.signed[1].Public() }, ErrUnauthenticated},
		"another signature":     {func(b *Bundle) { b.Signature[3] ^= 1 }, ErrUnauthenticated},
		"no identity":           {func(b *Bundle) { b.Identity = IdentityKey{} }, ErrMalformed},
		"no signed key":         {func(b *Bundle) { b.SignedPreKey = PublicKey{} }, ErrMalformed},
		"id without a pre-key":  {func(b *Bundle) { b.PreKey = PublicKey{} }, ErrMalformed},
		"pre-key without an id": {func(b *Bundle) { b.PreKeyID = 0 }, ErrMalformed},
	}
	for name, c := range cases {
		b := bob.bundle()
		b.PreKeyID, b.PreKey = 1, mallory.pre[1].Public()
		c.spoil(&b)
		if err := b.Verify(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := Initiate(mallory.local, nil, b, start); !errors.Is(err, c.want) {
			t.Errorf("%s: beginning a session gives %v, want %v", name, err, c.want)
		}
	}
}

func TestGeneratorsRefuseWhatIsOutOfRange(t *testing.T) {
	identity := newDevice(t).local.Identity
	for _, id := range []uint32{0, MaxPreKeyID + 1} {
		if _, err := GenerateSignedPreKey(id, identity, time.Time{}); err == nil {
			t.Errorf("a signed pre-key with id %d is made", id)
		}
		if _, err := GeneratePreKeys(id, 1); err == nil {
			t.Errorf("a pre-key with id %d is made", id)
		}
	}
	for _, n := range []int{-1, 1001} {
		if _, err := GeneratePreKeys(1, n); err == nil {
			t.Errorf("%d pre-keys are made", n)
		}
	}
}
