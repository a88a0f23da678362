package omemo

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Sizes of the payload's encryption, AES-128-GCM (XEP-0384 v0.3, section 4.4).
const (
	keySize = 16
	tagSize = 16
	ivSize  = 12
	// oldIVSize is what clients sent before 2019; it is accepted, never sent.
	oldIVSize = 16
)

// sealPayload encrypts text, which may be nil, under a new key and returns what the Signal messages
// carry (key, then tag), the IV and the ciphertext.
//
// A random 12-byte IV is safe because the key is never used twice.
func sealPayload(text []byte) (keyAndTag, iv, payload []byte, err error) {
	random := make([]byte, keySize+ivSize)
	rand.Read(random) // never fails: crypto/rand ends the process instead
	key, iv := random[:keySize:keySize], random[keySize:]
	gcm, err := payloadCipher(key, ivSize)
	if err != nil {
		return nil, nil, nil, err
	}
	sealed := gcm.Seal(nil, iv, text, nil)
	payload, tag := sealed[:len(text):len(text)], sealed[len(text):]
	return append(key, tag...), iv, payload, nil
}

// openPayload decrypts an envelope's payload with the content of its Signal message: key and tag
// or, from clients before 2018, only the key, with the tag at the payload's end. XEP-0384 v0.3
// describes the first form; Conversations reads both, and so do we. A key transport message has no
// payload, and we do not need its key.
func openPayload(keyAndTag []byte, e carrier.Envelope) ([]byte, error) {
	if e.Payload == nil {
		return nil, nil
	}
	if n := len(keyAndTag); n != keySize && n != keySize+tagSize {
		return nil, fmt.Errorf("%w: content key of %d bytes", ErrContent, n)
	}
	gcm, err := payloadCipher(keyAndTag[:keySize], len(e.IV))
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 0, len(e.Payload)+tagSize)
	sealed = append(append(sealed, e.Payload...), keyAndTag[keySize:]...)
	if len(sealed) > MaxText+tagSize {
		return nil, fmt.Errorf("%w: text is longer than %d bytes", ErrContent, MaxText)
	}
	// Decrypting in place: nothing else refers to sealed.
	text, err := gcm.Open(sealed[:0], e.IV, sealed, nil)
	if err != nil {
		return nil, ErrContent
	}
	return text, nil
}

func payloadCipher(key []byte, ivSize int) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("omemo: content cipher: %w", err)
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, ivSize)
	if err != nil {
		return nil, fmt.Errorf("omemo: content cipher: %w", err)
	}
	return gcm, nil
}
