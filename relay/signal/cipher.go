package signal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Lengths of a message's authentication code, a truncated HMAC-SHA256.
const (
	macSize       = 8  // Legacy
	omemo2MACSize = 16 // OMEMO2
)

// associatedSize is the length of the longest associated data.
const associatedSize = 2 * PublicKeySize

// sealedSize is the length of n bytes in AES-CBC with PKCS#7 padding, which has at least one byte.
func sealedSize(n int) int { return n + aes.BlockSize - n%aes.BlockSize }

// seal pads and encrypts plaintext, and does not change the caller's plaintext.
func (k *messageKeys) seal(plaintext []byte) ([]byte, error) {
	block, err := aes.NewCipher(k.cipher[:])
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	body := append(make([]byte, 0, sealedSize(len(plaintext))), plaintext...)
	padding := sealedSize(len(plaintext)) - len(plaintext)
	for range padding {
		body = append(body, byte(padding))
	}
	cipher.NewCBCEncrypter(block, k.iv[:]).CryptBlocks(body, body)
	return body, nil
}

// unseal decrypts a body that was authenticated. For an invalid length or padding it returns
// ErrMalformed: only the peer can have made such a body.
func (k *messageKeys) unseal(body []byte) ([]byte, error) {
	if len(body) == 0 || len(body)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("decrypting: length: %w", ErrMalformed)
	}
	block, err := aes.NewCipher(k.cipher[:])
	if err != nil {
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	plaintext := make([]byte, len(body))
	cipher.NewCBCDecrypter(block, k.iv[:]).CryptBlocks(plaintext, body)
	n := unpadded(plaintext)
	if n < 0 {
		clear(plaintext)
		return nil, fmt.Errorf("decrypting: padding: %w", ErrMalformed)
	}
	return plaintext[:n], nil
}

// unpadded returns the length of b, whole blocks, without its PKCS#7 padding, or -1 when the
// padding is invalid.
func unpadded(b []byte) int {
	padding := int(b[len(b)-1])
	if padding < 1 || padding > aes.BlockSize {
		return -1
	}
	for _, p := range b[len(b)-padding:] {
		if int(p) != padding {
			return -1
		}
	}
	return len(b) - padding
}

// authenticate computes the code, which is not truncated yet, of serialised, a message up to its
// code, with the associated data.
func (k *messageKeys) authenticate(associated, serialised []byte) (code [sha256.Size]byte) {
	var head [sha256.BlockSize + associatedSize]byte
	pad((*[sha256.BlockSize]byte)(head[:]), &k.mac, 0x36)
	b := append(head[:sha256.BlockSize], associated...)
	h := sha256.New()
	h.Write(b)
	h.Write(serialised)
	var outer [sha256.BlockSize + sha256.Size]byte
	pad((*[sha256.BlockSize]byte)(outer[:]), &k.mac, 0x5c)
	h.Sum(outer[:sha256.BlockSize])
	code = sha256.Sum256(outer[:])
	clear(head[:])
	clear(outer[:])
	return code
}

// verify checks a truncated code, in constant time, over the very bytes that were received.
func (k *messageKeys) verify(associated, received, code []byte) bool {
	ours := k.authenticate(associated, received)
	return subtle.ConstantTimeCompare(ours[:len(code)], code) == 1
}
