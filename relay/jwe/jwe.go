// Package jwe encrypts payloads for a business and decrypts those that the business encrypted for its relay: JSON Web
// Encryption (RFC 7516) in its compact form, with the algorithms of the Cloud API's payload encryption. It must not
// know what a payload says, where it goes or where keys are stored.
package jwe

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Errors of Decrypt, as sentences that begin with the name of a parameter go on. They contain nothing of the payload.
var (
	// ErrForm means that a text is no JWE that is accepted.
	ErrForm = errors.New("must be a JWE in compact form with RSA-OAEP and A256GCM, or another content encryption that the Cloud API names, and without compression")
	// ErrUndecryptable means that the JWE is for another key or was changed.
	ErrUndecryptable = errors.New("is not encrypted with this relay's public key, or was changed")
)

// keyAlgorithms are the accepted key encryptions. The Cloud API also names RSA1_5, which lets who can ask a server
// often enough decrypt what others sent (Bleichenbacher's attack; RFC 8017, section 7.2).
func keyAlgorithms() []jose.KeyAlgorithm { return []jose.KeyAlgorithm{jose.RSA_OAEP} }

// contentEncryptions are the accepted content encryptions: those that the Cloud API names.
func contentEncryptions() []jose.ContentEncryption {
	return []jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A192CBC_HS384, jose.A256CBC_HS512}
}

// Recipient encrypts for the holder of one private key. It is safe for concurrent use.
type Recipient struct {
	encrypter   jose.Encrypter
	fingerprint string
}

// NewRecipient reads the recipient's public key, with the errors of contract.ParsePublicKey.
func NewRecipient(publicKey string) (*Recipient, error) {
	key, err := contract.ParsePublicKey(publicKey)
	if err != nil {
		return nil, err
	}
	fingerprint, err := contract.PublicKeyFingerprint(key)
	if err != nil {
		return nil, err
	}
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP, Key: key, KeyID: fingerprint}, nil)
	if err != nil {
		return nil, fmt.Errorf("preparing payload encryption: %w", err)
	}
	return &Recipient{encrypter: e, fingerprint: fingerprint}, nil
}

// Fingerprint names the recipient's key. It is also the kid of what Encrypt returns.
func (r *Recipient) Fingerprint() string { return r.fingerprint }

// Is says whether a text is the recipient's public key in PEM.
func (r *Recipient) Is(publicKey string) bool {
	key, err := contract.ParsePublicKey(publicKey)
	if err != nil {
		return false
	}
	fingerprint, err := contract.PublicKeyFingerprint(key)
	return err == nil && fingerprint == r.fingerprint
}

// Encrypt returns a JWE of plain in compact form, with RSA-OAEP and A256GCM and a content key of its own.
func (r *Recipient) Encrypt(plain []byte) (string, error) {
	e, err := r.encrypter.Encrypt(plain)
	if err != nil {
		return "", fmt.Errorf("encrypting a payload: %w", err)
	}
	text, err := e.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("writing a JWE: %w", err)
	}
	return text, nil
}

// Key is a private key that decrypts. It is safe for concurrent use.
type Key struct {
	private *rsa.PrivateKey
	public  string
}

// keyBits is the size of a new key, which is what the Cloud API uses.
const keyBits = 2048

// NewKey returns a new private key in DER (PKCS #8), which ParseKey reads.
func NewKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("making a key for payload encryption: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key for payload encryption: %w", err)
	}
	return der, nil
}

// ParseKey reads what NewKey returned.
func ParseKey(der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("reading the key for payload encryption: it is not what this relay writes")
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	return &Key{private: key, public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}, nil
}

// Public returns the public key in PEM.
func (k *Key) Public() string { return k.public }

// Decrypt returns what was encrypted in a JWE in compact form, or ErrForm or ErrUndecryptable.
func (k *Key) Decrypt(text string) ([]byte, error) {
	e, err := jose.ParseEncryptedCompact(text, keyAlgorithms(), contentEncryptions())
	if err != nil {
		return nil, ErrForm
	}
	if _, compressed := e.Header.ExtraHeaders["zip"]; compressed { // a small text could become a very large one
		return nil, ErrForm
	}
	plain, err := e.Decrypt(k.private)
	if err != nil {
		return nil, ErrUndecryptable
	}
	return plain, nil
}
