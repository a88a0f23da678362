package signal

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
)

// MaxRegistrationID is the largest registration id; the least is 1.
const MaxRegistrationID = 16380

// identityVersion is the first byte of a serialised identity key pair.
const identityVersion = 'I'

// Local is this device's own side of every session.
type Local struct {
	Identity *IdentityKeyPair
	// RegistrationID is 1 to MaxRegistrationID. Peers store it but nothing depends on it; it is
	// not OMEMO's device id.
	RegistrationID uint32
}

// GenerateRegistrationID returns a random registration id.
func GenerateRegistrationID() (uint32, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(MaxRegistrationID))
	if err != nil {
		return 0, fmt.Errorf("generating registration id: %w", err)
	}
	return uint32(n.Int64()) + 1, nil
}

// IdentityKeyPair is this device's identity: a program that has it is this device. It
// prints as "[identity key pair]".
type IdentityKeyPair struct {
	_   incomparable
	key privateKey
}

// GenerateIdentityKeyPair makes a new identity.
func GenerateIdentityKeyPair() (*IdentityKeyPair, error) {
	k := new(IdentityKeyPair)
	if err := k.key.generate(); err != nil {
		return nil, fmt.Errorf("generating identity: %w", err)
	}
	return k, nil
}

// ParseIdentityKeyPair reads what MarshalBinary wrote. It does not keep b.
func ParseIdentityKeyPair(b []byte) (*IdentityKeyPair, error) {
	if len(b) != 1+privateKeySize || b[0] != identityVersion {
		return nil, fmt.Errorf("reading identity key pair: %w", ErrMalformed)
	}
	k := &IdentityKeyPair{key: privateKey{scalar: [privateKeySize]byte(b[1:])}}
	k.key.derive()
	if !k.key.present() {
		return nil, fmt.Errorf("reading identity key pair: %w", ErrMalformed)
	}
	return k, nil
}

// MarshalBinary returns the private key for storage. The caller must zero the bytes.
func (k *IdentityKeyPair) MarshalBinary() ([]byte, error) {
	return append([]byte{identityVersion}, k.key.scalar[:]...), nil
}

// Public returns the public half.
func (k *IdentityKeyPair) Public() IdentityKey { return IdentityKey{p: k.key.public} }

// Sign signs message (XEdDSA), as IdentityKey.Verify checks it.
func (k *IdentityKeyPair) Sign(message []byte) ([SignatureSize]byte, error) {
	if !k.key.present() {
		return [SignatureSize]byte{}, fmt.Errorf("signing: %w", errDestroyed)
	}
	return sign(&k.key.scalar, message)
}

// Destroy zeroes the key pair; k is of no use afterwards.
func (k *IdentityKeyPair) Destroy() { k.key.destroy() }

// Format implements fmt.Formatter for every verb.
func (k IdentityKeyPair) Format(f fmt.State, _ rune) { redact(f, "[identity key pair]") }

// LogValue implements slog.LogValuer.
func (k IdentityKeyPair) LogValue() slog.Value { return slog.StringValue("[identity key pair]") }
