package signal

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/dh/x25519"
)

const privateKeySize = 32

// errDestroyed means that a private key is used after Destroy, or before it was
// made.
var errDestroyed = errors.New("private key is gone")

// privateKey is a Curve25519 private key with its public half. Its zero value is not a key.
//
// The arithmetic is circl's and not crypto/ecdh's: crypto/ecdh keeps a copy of the key that nobody
// can zero, and computes the public half again whenever a key is read from a store, which takes as
// long as an agreement.
type privateKey struct {
	scalar [privateKeySize]byte
	public PublicKey
}

// generate makes k a new random key.
func (k *privateKey) generate() error {
	if _, err := rand.Read(k.scalar[:]); err != nil {
		return err
	}
	k.derive()
	return nil
}

// derive computes the public half.
func (k *privateKey) derive() {
	x25519.KeyGen((*x25519.Key)(&k.public.u), (*x25519.Key)(&k.scalar))
}

// append writes the scalar and the public half's u-coordinate, 64 bytes.
func (k *privateKey) append(b []byte) []byte {
	return append(append(b, k.scalar[:]...), k.public.u[:]...)
}

// restore reads what append wrote from the start of b.
func (k *privateKey) restore(b []byte) {
	k.scalar = [privateKeySize]byte(b)
	k.public.u = [32]byte(b[privateKeySize:])
}

// present reports whether there is a key: both halves are there.
func (k *privateKey) present() bool {
	return subtle.ConstantTimeCompare(k.scalar[:], make([]byte, privateKeySize)) == 0 && !k.public.IsZero()
}

// agree writes the X25519 shared secret with p to shared. It refuses an all-zero secret, which
// points of small order lead to, with ErrMalformed (RFC 7748 section 6.1).
func (k *privateKey) agree(shared *secret, p *PublicKey) error {
	if !k.present() {
		return fmt.Errorf("agreeing on a key: %w", errDestroyed)
	}
	ok := x25519.Shared((*x25519.Key)(shared), (*x25519.Key)(&k.scalar), (*x25519.Key)(&p.u))
	if !ok || subtle.ConstantTimeCompare(shared[:], make([]byte, len(shared))) == 1 {
		return fmt.Errorf("agreeing on a key: %w", ErrMalformed)
	}
	return nil
}

// destroy zeroes the key.
func (k *privateKey) destroy() { *k = privateKey{} }
