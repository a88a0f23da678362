package signal

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// SignatureSize is the length of an XEdDSA signature.
const SignatureSize = 64

// signBit is the bit of a point's last byte that holds the sign of its x-coordinate.
const signBit = 0x80

// sign signs message with a Curve25519 private key as XEdDSA specifies
// (https://signal.org/docs/specifications/xeddsa/). The twisted Edwards public key has sign bit 0,
// so the signature suits verifiers that read the bit from its last byte, as libsignal does, and
// those that do not know it. All arithmetic on secrets is edwards25519's, which is constant-time.
func sign(scalar *[privateKeySize]byte, message []byte) (signature [SignatureSize]byte, err error) {
	var random [64]byte
	if _, err = rand.Read(random[:]); err != nil {
		return signature, fmt.Errorf("signing: %w", err)
	}
	return signWith(scalar, message, &random)
}

// signWith is sign with given random bytes.
func signWith(scalar *[privateKeySize]byte, message []byte, random *[64]byte) (signature [SignatureSize]byte, err error) {
	secret, public, err := edwardsPair(scalar)
	if err != nil {
		return signature, err
	}
	// hash1 of the specification: 2^256 - 1 - 1, little-endian, separates this use of the hash
	// from all others.
	prefix := [32]byte{0: 0xfe}
	for i := 1; i < len(prefix); i++ {
		prefix[i] = 0xff
	}
	secretBytes := secret.Bytes()
	defer clear(secretBytes)
	nonce, err := hashScalar(prefix[:], secretBytes, message, random[:])
	if err != nil {
		return signature, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	challenge, err := hashScalar(commitment, public, message)
	if err != nil {
		return signature, err
	}
	copy(signature[:], commitment)
	copy(signature[32:], edwards25519.NewScalar().MultiplyAdd(challenge, secret, nonce).Bytes())
	return signature, nil
}

// edwardsPair is calculate_key_pair of the specification: the scalar, negated
// where its point has sign bit 1, and the point with sign bit 0.
func edwardsPair(scalar *[privateKeySize]byte) (*edwards25519.Scalar, []byte, error) {
	k, err := edwards25519.NewScalar().SetBytesWithClamping(scalar[:])
	if err != nil {
		return nil, nil, fmt.Errorf("signing: %w", err)
	}
	public := new(edwards25519.Point).ScalarBaseMult(k).Bytes()
	plain, negated := k.Bytes(), edwards25519.NewScalar().Negate(k).Bytes()
	subtle.ConstantTimeCopy(int(public[31]>>7), plain, negated)
	public[31] &= 0x7f
	secret, err := edwards25519.NewScalar().SetCanonicalBytes(plain)
	clear(plain)
	clear(negated)
	if err != nil {
		return nil, nil, fmt.Errorf("signing: %w", err)
	}
	return secret, public, nil
}

// hashScalar is SHA-512 of the parts, reduced.
func hashScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return s, nil
}

// verify checks a signature against a Curve25519 public key. The sign bit of the
// twisted Edwards key is the top bit of the signature's last byte, as libsignal
// writes it; XEdDSA proper leaves it 0.
func verify(u *[32]byte, message []byte, signature *[SignatureSize]byte) bool {
	plain := *signature
	plain[63] &^= signBit
	return ed25519.Verify(edwards(u, signature[63]&signBit), message, plain[:])
}

// edwards is the birational map of RFC 7748 (page 5) from Curve25519 to Ed25519, to the point with
// that sign: y = (u - 1) / (u + 1). u = -1 gives 0. u must be canonical.
func edwards(u *[32]byte, sign byte) []byte {
	x, err := new(field.Element).SetBytes(u[:])
	if err != nil {
		return make([]byte, len(u)) // never: SetBytes refuses only other lengths
	}
	one := new(field.Element).One()
	y := new(field.Element).Add(x, one)
	y.Invert(y)
	y.Multiply(y, new(field.Element).Subtract(x, one))
	b := y.Bytes()
	b[len(u)-1] |= sign
	return b
}
