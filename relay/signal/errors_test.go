package signal

import (
	"errors"
	"fmt"
	"testing"
)

func TestClassNamesEveryClassForMetrics(t *testing.T) {
	want := map[error]string{
		nil: "ok", ErrMalformed: "malformed", ErrUnknownPreKey: "unknown_prekey",
		ErrUnauthenticated: "unauthenticated", ErrReplay: "replay", ErrTooFarAhead: "too_far_ahead",
		ErrUntrustedIdentity: "untrusted_identity", ErrNoSession: "no_session", errors.New("disk on fire"): "other",
	}
	for err, class := range want {
		if got := Class(err); got != class {
			t.Errorf("class of %v is %q, want %q", err, got, class)
		}
		if err == nil {
			continue
		}
		if got := Class(fmt.Errorf("somewhere: %w", err)); got != class {
			t.Errorf("class of wrapped %v is %q, want %q", err, got, class)
		}
	}
}

func TestBadInput_ClassesDifferAndChangeNothing(t *testing.T) {
	alice, bob := pair(t)
	used := alice.seal("used")
	bob.wants(used, "used")
	far := alice.forger()
	far.s.send.index += MaxSkip + 1
	stranger := newDevice(t)
	stranger.initiate(bob.bundle())
	unknown := stranger.seal("hello")
	delete(bob.pre, 2)

	cases := map[string]struct {
		c    Ciphertext
		want error
	}{
		"damage":                    {flipped(alice.seal("x"), -1), ErrUnauthenticated},
		"damage inside":             {flipped(alice.seal("x"), -20), ErrUnauthenticated},
		"foreign ratchet key":       {flipped(alice.seal("x"), 10), ErrUnauthenticated},
		"used key":                  {used, ErrReplay},
		"far ahead":                 {far.authentic(far.fields(far.encrypted(padded("x")))), ErrTooFarAhead},
		"pre-key that is gone":      {unknown, ErrUnknownPreKey},
		"another protocol version":  {Ciphertext{Data: append([]byte{0x22}, used.Data[1:]...)}, ErrMalformed},
		"pre-key message as normal": {Ciphertext{Data: unknown.Data}, ErrMalformed},
		"normal as pre-key message": {Ciphertext{Data: used.Data, PreKey: true}, ErrMalformed},
		"too long":                  {Ciphertext{Data: make([]byte, MaxCiphertext+1)}, ErrMalformed},
		"too long pre-key message":  {Ciphertext{Data: make([]byte, MaxCiphertext+1), PreKey: true}, ErrMalformed},
	}
	before := bob.state()
	for name, c := range cases {
		if _, err := bob.open(c.c); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if !before.equal(bob.state()) {
			t.Errorf("%s: what is stored changed", name)
		}
	}
	if _, err := newDevice(t).open(used); !errors.Is(err, ErrNoSession) {
		t.Errorf("no session: %v, want ErrNoSession", err)
	}
}

func TestErrorsOfTheKeyStorePassThrough(t *testing.T) {
	alice, bob := newDevice(t), newDevice(t)
	alice.initiate(bob.bundle())
	broken := errors.New("disk on fire")
	_, err := Decrypt(bob.local, nil, brokenSource{broken}, alice.seal("hello"), start)
	if !errors.Is(err, broken) || Class(err) != "other" {
		t.Errorf("got %v", err)
	}
	_, err = Decrypt(bob.local, nil, brokenSource{}, alice.seal("hello"), start)
	if !errors.Is(err, ErrUnknownPreKey) {
		t.Errorf("a source that finds nothing without saying so gives %v, want ErrUnknownPreKey", err)
	}
}

// brokenSource finds nothing.
type brokenSource struct{ err error }

func (b brokenSource) SignedPreKey(uint32) (*SignedPreKey, error) { return nil, b.err }
func (b brokenSource) PreKey(uint32) (*PreKey, error)             { return nil, b.err }
