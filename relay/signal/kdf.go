package signal

import (
	"crypto/sha256"
	"fmt"

	"go.mau.fi/libsignal/kdf"
)

const (
	seedMessage = 0x01
	seedChain   = 0x02
)

// secret is a root key, a chain key or the seed of a message's keys.
type secret [32]byte

// shortMAC is the longest message that hmacShort accepts.
const shortMAC = 64

// hmacShort is HMAC-SHA256 (RFC 2104) of a short message. A message needs seven HMACs, a skipped
// one two. With pads and message in one array on the stack, each is two one-shot hashes without
// any allocation; crypto/hmac allocates two hash states and calls them through an interface.
func hmacShort(key *secret, message []byte) (sum secret) {
	var inner [sha256.BlockSize + shortMAC]byte
	pad((*[sha256.BlockSize]byte)(inner[:]), key, 0x36)
	n := copy(inner[sha256.BlockSize:], message)
	digest := sha256.Sum256(inner[:sha256.BlockSize+n])
	var outer [sha256.BlockSize + sha256.Size]byte
	pad((*[sha256.BlockSize]byte)(outer[:]), key, 0x5c)
	copy(outer[sha256.BlockSize:], digest[:])
	sum = sha256.Sum256(outer[:])
	clear(inner[:])
	clear(outer[:])
	return sum
}

// pad fills a block with the key, zero-padded, and flips the bits of mask.
func pad(block *[sha256.BlockSize]byte, key *secret, mask byte) {
	for i := range key {
		block[i] = key[i] ^ mask
	}
	for i := len(key); i < len(block); i++ {
		block[i] = mask
	}
}

// messageSeed is what a message's keys are derived from. For a skipped message only the seed is
// kept, which is less than half as long as its keys.
func messageSeed(chain *secret) secret { return hmacShort(chain, []byte{seedMessage}) }

// nextChain is the chain key that follows chain.
func nextChain(chain *secret) secret { return hmacShort(chain, []byte{seedChain}) }

// messageKeys encrypt and authenticate one message.
type messageKeys struct {
	cipher [32]byte // AES-256
	mac    secret   // HMAC-SHA256
	iv     [16]byte
}

// deriveMessageKeys derives a message's keys from its seed by HKDF-SHA256
// (RFC 5869) without salt.
func deriveMessageKeys(f Format, seed *secret) messageKeys {
	return deriveKeys(seed, f.labels().message)
}

func deriveKeys(seed *secret, label string) (keys messageKeys) {
	extracted := hmacShort(new(secret), seed[:])
	var out [len(keys.cipher) + len(keys.mac) + len(keys.iv)]byte
	expand(out[:], &extracted, label)
	n := copy(keys.cipher[:], out[:])
	n += copy(keys.mac[:], out[n:])
	copy(keys.iv[:], out[n:])
	clear(extracted[:])
	clear(out[:])
	return keys
}

// expand is HKDF-Expand (RFC 5869 section 2.3) on hmacShort: info has 31 bytes at
// most.
func expand(out []byte, extracted *secret, info string) {
	var block [shortMAC]byte // the previous digest, info, a counter
	end := sha256.Size + copy(block[sha256.Size:], info)
	start := sha256.Size // there is no digest before the first
	for counter := byte(1); len(out) > 0; counter++ {
		block[end] = counter
		digest := hmacShort(extracted, block[start:end+1])
		out = out[copy(out, digest[:]):]
		copy(block[:], digest[:])
		start = 0
		clear(digest[:])
	}
	clear(block[:])
}

// destroy zeroes the keys.
func (k *messageKeys) destroy() { *k = messageKeys{} }

// derivePair is HKDF-SHA256 to 64 bytes: a root key and a chain key.
func derivePair(input, salt []byte, info string) (root, chain secret, err error) {
	out, err := kdf.DeriveSecrets(input, salt, []byte(info), len(root)+len(chain))
	if err != nil {
		return root, chain, fmt.Errorf("deriving keys: %w", err)
	}
	copy(root[:], out)
	copy(chain[:], out[len(root):])
	clear(out)
	return root, chain, nil
}

// ratchetRoot is the Diffie-Hellman ratchet's step: from the root key and the
// secret that own and peer share, the next root key and a chain key.
func ratchetRoot(f Format, root *secret, own *privateKey, peer *PublicKey) (next, chain secret, err error) {
	var shared secret
	if err = own.agree(&shared, peer); err != nil {
		return next, chain, err
	}
	next, chain, err = derivePair(shared[:], root[:], f.labels().ratchet)
	clear(shared[:])
	return next, chain, err
}
