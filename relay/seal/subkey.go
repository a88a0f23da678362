package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
	"sync/atomic"
)

// Numbers of values that one subkey may seal; see the package's bounds.
const (
	softLimit = 1 << 31
	hardLimit = 1 << 32
)

// subkey holds what one epoch's data key yields for one purpose.
type subkey struct {
	aead   cipher.AEAD
	sealed atomic.Uint64
	macs   sync.Pool // of hash.Hash: their key schedule costs more than a lookup
}

// newSubkey derives the subkeys of one purpose. It overwrites the derived bytes before it
// returns. The key schedules inside aead and macs cannot be overwritten; the garbage collector
// frees them once the epoch is forgotten.
func newSubkey(dataKey *[KeySize]byte, purpose string) (*subkey, error) {
	sealKey, err := derive(dataKey, "seal", purpose)
	if err != nil {
		return nil, err
	}
	defer clear(sealKey)
	block, err := aes.NewCipher(sealKey)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	lookupKey, err := derive(dataKey, "lookup", purpose)
	if err != nil {
		return nil, err
	}
	first := hmac.New(sha256.New, lookupKey)
	s := &subkey{aead: aead}
	// The pool's New needs the key for as long as the subkey lives.
	s.macs.New = func() any { return hmac.New(sha256.New, lookupKey) }
	s.macs.Put(first)
	return s, nil
}

func derive(dataKey *[KeySize]byte, kind, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, dataKey[:], nil, "relaykeep seal v1\x00"+kind+"\x00"+purpose, KeySize)
}

func (s *subkey) lookup(value []byte) (sum [sha256.Size]byte) {
	mac, _ := s.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(value) // never fails (hash.Hash)
	mac.Sum(sum[:0])
	s.macs.Put(mac)
	return sum
}
