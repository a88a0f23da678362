package contract

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Limits of the business's public key for payload encryption. The Cloud API asks for 2,048 bits.
const (
	MinPublicKeyBits = 2048
	MaxPublicKeyBits = 8192
	// MaxPublicKeyText is how many bytes its PEM text has at most.
	MaxPublicKeyText = 4096
)

// ErrPublicKeyForm means that a text is not one RSA public key in PEM.
var ErrPublicKeyForm = errors.New("must be one RSA public key in PEM, which begins with -----BEGIN PUBLIC KEY-----, and nothing else")

// ErrPublicKeySize means that an RSA key is too short to be safe, or longer than a relay uses.
var ErrPublicKeySize = fmt.Errorf("must have %d to %d bits: make another pair of keys", MinPublicKeyBits, MaxPublicKeyBits)

// ParsePublicKey reads the business's public key for payload encryption: a PEM block PUBLIC KEY (RFC 7468, section 13)
// with an RSA key. It returns ErrPublicKeyForm or ErrPublicKeySize for anything else.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	if len(text) > MaxPublicKeyText {
		return nil, ErrPublicKeyForm
	}
	text = strings.TrimSpace(text)
	block, rest := pem.Decode([]byte(text))
	if block == nil || !strings.HasPrefix(text, "-----BEGIN ") || block.Type != "PUBLIC KEY" || len(block.Headers) > 0 || len(rest) > 0 {
		return nil, ErrPublicKeyForm
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, ErrPublicKeyForm
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok || key.N.Bit(0) == 0 || key.E < 3 || key.E%2 == 0 { // no RSA key has an even modulus or exponent
		return nil, ErrPublicKeyForm
	}
	if bits := key.N.BitLen(); bits < MinPublicKeyBits || bits > MaxPublicKeyBits {
		return nil, ErrPublicKeySize
	}
	return key, nil
}

// PublicKeyFingerprint names a public key: "SHA256:" and the lower-case hex SHA-256 of its DER form. `openssl pkey -pubin
// -outform DER | openssl dgst -sha256` prints the same digits.
func PublicKeyFingerprint(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return "SHA256:" + hex.EncodeToString(sum[:]), nil
}
