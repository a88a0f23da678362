package signal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"sync/atomic"
)

const privateKeySize = 32

// privateKey is a Curve25519 private key with its public half. Its zero value is
// no key. It is not copied once it is in use.
type privateKey struct {
	scalar [privateKeySize]byte
	public PublicKey
	// prebuilt is the same key in the form that crypto/ecdh works with. Making it
	// takes a scalar multiplication, as long as an agreement itself, so it is
	// kept, and made only when it is needed.
	prebuilt atomic.Pointer[ecdh.PrivateKey]
}

// generate makes k a new random key.
func (k *privateKey) generate() error {
	built, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	k.fill(built)
	return nil
}

// set makes k the key with the given scalar.
func (k *privateKey) set(scalar *[privateKeySize]byte) error {
	built, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		return err
	}
	k.fill(built)
	return nil
}

func (k *privateKey) fill(built *ecdh.PrivateKey) {
	b := built.Bytes()
	k.scalar = [privateKeySize]byte(b)
	clear(b)
	k.public.u = [32]byte(built.PublicKey().Bytes())
	k.prebuilt.Store(built)
}

// append writes the scalar and the public half's u-coordinate, 64 bytes.
func (k *privateKey) append(b []byte) []byte {
	return append(append(b, k.scalar[:]...), k.public.u[:]...)
}

// restore reads what append wrote from the start of b, without computing.
func (k *privateKey) restore(b []byte) {
	k.scalar = [privateKeySize]byte(b)
	k.public.u = [32]byte(b[privateKeySize:])
}

// build returns the key in crypto/ecdh's form. A public half that does not belong
// to the scalar, which only a damaged store can hold, is an error.
func (k *privateKey) build() (*ecdh.PrivateKey, error) {
	if built := k.prebuilt.Load(); built != nil {
		return built, nil
	}
	if subtle.ConstantTimeCompare(k.scalar[:], make([]byte, privateKeySize)) == 1 {
		return nil, fmt.Errorf("private key was destroyed or never set")
	}
	built, err := ecdh.X25519().NewPrivateKey(k.scalar[:])
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(built.PublicKey().Bytes(), k.public.u[:]) {
		return nil, fmt.Errorf("private and public key are no pair: %w", ErrMalformed)
	}
	k.prebuilt.Store(built)
	return built, nil
}

// agree appends the X25519 shared secret with p to secret. An all-zero secret,
// which points of small order lead to, is refused with ErrMalformed
// (RFC 7748 section 6.1).
func (k *privateKey) agree(secret []byte, p *PublicKey) ([]byte, error) {
	own, err := k.build()
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key: %w", err)
	}
	peer, err := ecdh.X25519().NewPublicKey(p.u[:])
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key: %w", ErrMalformed)
	}
	shared, err := own.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key: %w", ErrMalformed)
	}
	secret = append(secret, shared...)
	clear(shared)
	return secret, nil
}

// destroy zeroes the key. What crypto/ecdh keeps inside is out of reach: it is
// dropped, and gone when the memory is used again.
func (k *privateKey) destroy() {
	clear(k.scalar[:])
	k.prebuilt.Store(nil)
}
