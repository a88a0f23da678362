package signal

import (
	"crypto/ed25519"
	"crypto/subtle"
	"fmt"

	"filippo.io/edwards25519"
)

// EdwardsKeySize is the length of an identity key in its Ed25519 form.
const EdwardsKeySize = 32

// ParseEdwardsIdentityKey reads an identity key in its Ed25519 form (RFC 8032), as OMEMO2 publishes
// it. With ErrMalformed it refuses what is not the one encoding of a point on the curve, and the
// points of small order. A Curve25519 key stands for two points, one the negative of the other. Keys
// read from the two points are Equal: their private keys differ only in sign, so one person has both.
func ParseEdwardsIdentityKey(b []byte) (IdentityKey, error) {
	if len(b) != EdwardsKeySize {
		return IdentityKey{}, fmt.Errorf("reading identity key: %w", ErrMalformed)
	}
	point, err := new(edwards25519.Point).SetBytes(b)
	if err != nil || subtle.ConstantTimeCompare(point.Bytes(), b) != 1 { // SetBytes reads other encodings, too
		return IdentityKey{}, fmt.Errorf("reading identity key: %w", ErrMalformed)
	}
	p, err := parseCoordinate(point.BytesMontgomery())
	if err != nil {
		return IdentityKey{}, fmt.Errorf("identity: %w", err)
	}
	return IdentityKey{p: p, sign: b[EdwardsKeySize-1] & signBit}, nil
}

// Edwards returns the key in its Ed25519 form, 32 bytes: the one that it was read from, or else the
// one with sign 0, with which XEdDSA signs. It is nil for the zero IdentityKey.
func (k IdentityKey) Edwards() []byte {
	if k.IsZero() {
		return nil
	}
	return edwards(&k.p.u, k.sign)
}

// verifyEdwards checks an EdDSA signature by the key in its Ed25519 form.
func (k IdentityKey) verifyEdwards(message []byte, signature *[SignatureSize]byte) error {
	if k.IsZero() || !ed25519.Verify(k.Edwards(), message, signature[:]) {
		return fmt.Errorf("verifying signature: %w", ErrUnauthenticated)
	}
	return nil
}
