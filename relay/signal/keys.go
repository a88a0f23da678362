package signal

import (
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// PublicKeySize is the length of a serialised public key: a type byte and the
// u-coordinate.
const PublicKeySize = 33

// keyType is the type byte of a Curve25519 key in protocol version 3.
const keyType = 0x05

// incomparable in a struct makes == on it a compile error: keys are compared in
// constant time, by Equal.
type incomparable [0]func()

// PublicKey is a Curve25519 public key. The zero PublicKey is no key. It prints
// as "[public key]".
type PublicKey struct {
	_ incomparable
	u [32]byte
}

// ParsePublicKey reads a serialised public key: 33 bytes, the first 0x05. With ErrMalformed it
// refuses every non-canonical encoding of a point (RFC 7748 section 5 lets receivers reduce it), so
// that one key is one string of bytes, and the points of small order, with which every shared
// secret is zero.
func ParsePublicKey(b []byte) (PublicKey, error) {
	if len(b) != PublicKeySize || b[0] != keyType {
		return PublicKey{}, fmt.Errorf("reading public key: %w", ErrMalformed)
	}
	return parseCoordinate(b[1:])
}

// ParseCoordinate reads a public key without its type byte, 32 bytes, as OMEMO2 writes it. It refuses
// what ParsePublicKey refuses.
func ParseCoordinate(b []byte) (PublicKey, error) {
	if len(b) != PublicKeySize-1 {
		return PublicKey{}, fmt.Errorf("reading public key: %w", ErrMalformed)
	}
	return parseCoordinate(b)
}

func parseCoordinate(b []byte) (PublicKey, error) {
	p := PublicKey{u: [32]byte(b)}
	if !canonical(&p.u) || smallOrder(&p.u) {
		return PublicKey{}, fmt.Errorf("reading public key: %w", ErrMalformed)
	}
	return p, nil
}

// Bytes returns the serialised key, 33 bytes. It is nil for the zero PublicKey.
func (p PublicKey) Bytes() []byte {
	if p.IsZero() {
		return nil
	}
	return p.append(make([]byte, 0, PublicKeySize))
}

// Coordinate returns the key without its type byte, 32 bytes. It is nil for the zero PublicKey.
func (p PublicKey) Coordinate() []byte {
	if p.IsZero() {
		return nil
	}
	return append(make([]byte, 0, len(p.u)), p.u[:]...)
}

func (p *PublicKey) append(b []byte) []byte {
	return append(append(b, keyType), p.u[:]...)
}

// Equal reports in constant time whether p and q are the same key.
func (p PublicKey) Equal(q PublicKey) bool {
	return subtle.ConstantTimeCompare(p.u[:], q.u[:]) == 1
}

// IsZero reports whether p is no key at all.
func (p PublicKey) IsZero() bool { return p.u == [32]byte{} }

// Format implements fmt.Formatter for every verb.
func (p PublicKey) Format(f fmt.State, _ rune) { redact(f, "[public key]") }

// LogValue implements slog.LogValuer.
func (p PublicKey) LogValue() slog.Value { return slog.StringValue("[public key]") }

// IdentityKey is the public identity key of a device. The zero IdentityKey is no key. It prints as
// "[identity key]"; Fingerprint shows it to people who compare it.
type IdentityKey struct {
	_    incomparable
	p    PublicKey
	sign byte // signBit, if the key was read from an Ed25519 form that has it
}

// ParseIdentityKey reads a serialised identity key, as ParsePublicKey does.
func ParseIdentityKey(b []byte) (IdentityKey, error) {
	p, err := ParsePublicKey(b)
	if err != nil {
		return IdentityKey{}, fmt.Errorf("identity: %w", err)
	}
	return IdentityKey{p: p}, nil
}

// Bytes returns the serialised key, 33 bytes. It is nil for the zero IdentityKey.
func (k IdentityKey) Bytes() []byte { return k.p.Bytes() }

// Equal reports in constant time whether k and o are the same key.
func (k IdentityKey) Equal(o IdentityKey) bool { return k.p.Equal(o.p) }

// IsZero reports whether k is no key at all.
func (k IdentityKey) IsZero() bool { return k.p.IsZero() }

// Fingerprint returns the key as OMEMO clients show it: eight groups of eight
// lower-case hex digits, without the type byte. It is empty for the zero key.
func (k IdentityKey) Fingerprint() string {
	if k.IsZero() {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(k.p.u); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString(k.p.u[i : i+4]))
	}
	return b.String()
}

// Verify checks a signature of message by the identity key's owner (XEdDSA).
func (k IdentityKey) Verify(message []byte, signature [SignatureSize]byte) error {
	if k.IsZero() || !verify(&k.p.u, message, &signature) {
		return fmt.Errorf("verifying signature: %w", ErrUnauthenticated)
	}
	return nil
}

// Format implements fmt.Formatter for every verb.
func (k IdentityKey) Format(f fmt.State, _ rune) { redact(f, "[identity key]") }

// LogValue implements slog.LogValuer.
func (k IdentityKey) LogValue() slog.Value { return slog.StringValue("[identity key]") }

func redact(f fmt.State, s string) { _, _ = f.Write([]byte(s)) }
