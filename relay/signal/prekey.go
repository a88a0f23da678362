package signal

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"
)

// MaxPreKeyID is the largest id of a pre-key (the protocol's "medium"). The smallest is 1, since on
// the wire 0 cannot be told from absence.
const MaxPreKeyID = 0xFFFFFF

// First bytes of serialised pre-keys.
const (
	preKeyVersion       = 'P'
	signedPreKeyVersion = 'S'
)

const (
	preKeyLength       = 1 + 4 + privateKeySize + 32
	signedPreKeyLength = preKeyLength + 8 + SignatureSize
)

// PreKey is a one-time pre-key with its private half. It prints as "[pre-key]".
type PreKey struct {
	_   incomparable
	id  uint32
	key privateKey
}

// GeneratePreKeys makes n one-time pre-keys with the ids first, first+1 and so on;
// after MaxPreKeyID follows 1. First is 1 to MaxPreKeyID, n at most 1000.
func GeneratePreKeys(first uint32, n int) ([]*PreKey, error) {
	if !validID(first) || n < 0 || n > 1000 {
		return nil, fmt.Errorf("generating pre-keys: ids are 1 to %d, and 1000 keys at most", MaxPreKeyID)
	}
	keys := make([]*PreKey, n)
	for i := range keys {
		keys[i] = &PreKey{id: (first-1+uint32(i))%MaxPreKeyID + 1}
		if err := keys[i].key.generate(); err != nil {
			return nil, fmt.Errorf("generating pre-keys: %w", err)
		}
	}
	return keys, nil
}

func validID(id uint32) bool { return id >= 1 && id <= MaxPreKeyID }

// ParsePreKey reads what MarshalBinary wrote. It does not keep b.
func ParsePreKey(b []byte) (*PreKey, error) {
	if len(b) != preKeyLength || b[0] != preKeyVersion {
		return nil, fmt.Errorf("reading pre-key: %w", ErrMalformed)
	}
	k := &PreKey{id: binary.BigEndian.Uint32(b[1:])}
	k.key.restore(b[5:])
	if !validID(k.id) || !k.key.present() {
		return nil, fmt.Errorf("reading pre-key: %w", ErrMalformed)
	}
	return k, nil
}

// MarshalBinary returns the key for storage.
func (k *PreKey) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, preKeyLength), preKeyVersion)
	return k.key.append(binary.BigEndian.AppendUint32(b, k.id)), nil
}

// ID returns the key's id, 1 to MaxPreKeyID.
func (k *PreKey) ID() uint32 { return k.id }

// Public returns the public half.
func (k *PreKey) Public() PublicKey { return k.key.public }

// Destroy zeroes the private half.
func (k *PreKey) Destroy() { k.key.destroy() }

// Format implements fmt.Formatter for every verb.
func (k PreKey) Format(f fmt.State, _ rune) { redact(f, "[pre-key]") }

// LogValue implements slog.LogValuer.
func (k PreKey) LogValue() slog.Value { return slog.StringValue("[pre-key]") }

// SignedPreKey is a medium-term pre-key with its private half and the identity's
// signature of its public half. It prints as "[signed pre-key]".
type SignedPreKey struct {
	_         incomparable
	id        uint32
	created   int64 // Unix time, seconds
	key       privateKey
	signature [SignatureSize]byte
}

// GenerateSignedPreKey makes a signed pre-key. The id is 1 to MaxPreKeyID.
func GenerateSignedPreKey(id uint32, identity *IdentityKeyPair, now time.Time) (*SignedPreKey, error) {
	if !validID(id) {
		return nil, fmt.Errorf("generating signed pre-key: ids are 1 to %d", MaxPreKeyID)
	}
	k := &SignedPreKey{id: id, created: now.Unix()}
	if err := k.key.generate(); err != nil {
		return nil, fmt.Errorf("generating signed pre-key: %w", err)
	}
	var err error
	if k.signature, err = identity.Sign(k.key.public.Bytes()); err != nil {
		return nil, fmt.Errorf("generating signed pre-key: %w", err)
	}
	return k, nil
}

// ParseSignedPreKey reads what MarshalBinary wrote. It does not keep b.
func ParseSignedPreKey(b []byte) (*SignedPreKey, error) {
	if len(b) != signedPreKeyLength || b[0] != signedPreKeyVersion {
		return nil, fmt.Errorf("reading signed pre-key: %w", ErrMalformed)
	}
	k := &SignedPreKey{id: binary.BigEndian.Uint32(b[1:])}
	k.key.restore(b[5:])
	if !validID(k.id) || !k.key.present() {
		return nil, fmt.Errorf("reading signed pre-key: %w", ErrMalformed)
	}
	b = b[preKeyLength:]
	k.created = int64(binary.BigEndian.Uint64(b))
	k.signature = [SignatureSize]byte(b[8:])
	return k, nil
}

// MarshalBinary returns the key for storage.
func (k *SignedPreKey) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, signedPreKeyLength), signedPreKeyVersion)
	b = k.key.append(binary.BigEndian.AppendUint32(b, k.id))
	b = binary.BigEndian.AppendUint64(b, uint64(k.created))
	return append(b, k.signature[:]...), nil
}

// ID returns the key's id, 1 to MaxPreKeyID.
func (k *SignedPreKey) ID() uint32 { return k.id }

// Public returns the public half.
func (k *SignedPreKey) Public() PublicKey { return k.key.public }

// Signature returns the identity's signature of the serialised public half.
func (k *SignedPreKey) Signature() [SignatureSize]byte { return k.signature }

// Created returns when the key was made, to the second.
func (k *SignedPreKey) Created() time.Time { return time.Unix(k.created, 0).UTC() }

// Destroy zeroes the private half.
func (k *SignedPreKey) Destroy() { k.key.destroy() }

// Format implements fmt.Formatter for every verb.
func (k SignedPreKey) Format(f fmt.State, _ rune) { redact(f, "[signed pre-key]") }

// LogValue implements slog.LogValuer.
func (k SignedPreKey) LogValue() slog.Value { return slog.StringValue("[signed pre-key]") }

// PreKeySource finds our own pre-keys by id. It returns ErrUnknownPreKey when there is none. Any
// other error ends the decryption and is returned as it is.
type PreKeySource interface {
	SignedPreKey(id uint32) (*SignedPreKey, error)
	PreKey(id uint32) (*PreKey, error)
}
