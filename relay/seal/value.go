package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A sealed value is one version byte, the nonce, the ciphertext and the tag.
const (
	valueVersion = 1
	nonceSize    = 12
	tagSize      = 16
	// Overhead is how many bytes longer a sealed value is than what it seals.
	Overhead = 1 + nonceSize + tagSize
)

// Seal encrypts plaintext for one row in the current epoch, and returns that epoch. Purpose
// names the table. Row identifies the row in it, with everything that nobody must be able to
// change unnoticed. Neither is stored. It returns ErrNoEpoch when no epoch is open.
func (k *Keyring) Seal(purpose string, row, plaintext []byte) (epoch int64, value []byte, err error) {
	epoch, err = k.Current()
	if err != nil {
		return 0, nil, err
	}
	value, err = k.SealIn(epoch, purpose, row, plaintext)
	return epoch, value, err
}

// SealIn is Seal in a given live epoch, for values that change but must not live longer. It
// returns ErrErased when the epoch is not live.
func (k *Keyring) SealIn(epoch int64, purpose string, row, plaintext []byte) ([]byte, error) {
	s, err := k.subkey(epoch, purpose)
	if err != nil {
		return nil, err
	}
	return s.seal(epoch, purpose, row, plaintext)
}

func (s *subkey) seal(epoch int64, purpose string, row, plaintext []byte) ([]byte, error) {
	if s.sealed.Add(1) > hardLimit {
		return nil, ErrExhausted
	}
	value := make([]byte, 1+nonceSize, len(plaintext)+Overhead)
	value[0] = valueVersion
	if _, err := rand.Read(value[1:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	return s.aead.Seal(value, value[1:], plaintext, associated(purpose, row, epoch)), nil
}

// Open decrypts a value that Seal made for the same purpose and row in the given
// epoch. It returns ErrErased when that epoch is not live, and ErrTampered when
// the value is not what was sealed there.
func (k *Keyring) Open(epoch int64, purpose string, row, value []byte) ([]byte, error) {
	s, err := k.subkey(epoch, purpose)
	if err != nil {
		return nil, err
	}
	return s.open(epoch, purpose, row, value)
}

func (s *subkey) open(epoch int64, purpose string, row, value []byte) ([]byte, error) {
	if len(value) < Overhead || value[0] != valueVersion {
		return nil, ErrTampered
	}
	plaintext, err := s.aead.Open(nil, value[1:1+nonceSize], value[1+nonceSize:], associated(purpose, row, epoch))
	if err != nil {
		return nil, ErrTampered
	}
	return plaintext, nil
}

// Lookup returns a hash by which a value can be found among rows of the given epoch without
// storing the value: its HMAC-SHA256 under a key that dies with the epoch's. It returns
// ErrErased when the epoch is not live.
func (k *Keyring) Lookup(epoch int64, purpose string, value []byte) ([sha256.Size]byte, error) {
	s, err := k.subkey(epoch, purpose)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return s.lookup(value), nil
}

func (k *Keyring) subkey(epoch int64, purpose string) (*subkey, error) {
	k.mu.RLock()
	e := k.entries[epoch]
	k.mu.RUnlock()
	if e == nil {
		return nil, ErrErased
	}
	return e.subkey(purpose)
}

// associated binds a value to its purpose, row and epoch; lengths separate the parts.
func associated(purpose string, row []byte, epoch int64) []byte {
	aad := make([]byte, 0, 2+len(purpose)+len(row)+8)
	aad = binary.BigEndian.AppendUint16(aad, uint16(len(purpose)))
	aad = append(aad, purpose...)
	aad = append(aad, row...)
	return binary.BigEndian.AppendUint64(aad, uint64(epoch))
}
