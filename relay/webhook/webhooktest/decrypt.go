package webhooktest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RSA-OAEP of RFC 7518 uses it, and needs no collision resistance
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Decrypt decrypts a JWE in compact form with RSA-OAEP and A256GCM (RFC 7516, section 5.2), with the standard library
// alone.
func Decrypt(text string, key *rsa.PrivateKey) ([]byte, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 5 {
		return nil, fmt.Errorf("reading a JWE: it has %d parts", len(parts))
	}
	raw := make([][]byte, len(parts))
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return nil, fmt.Errorf("reading part %d of a JWE: %w", i, err)
		}
	}
	var header struct{ Alg, Enc, Zip string }
	if err := json.Unmarshal(raw[0], &header); err != nil {
		return nil, fmt.Errorf("reading a JWE's header: %w", err)
	}
	if header.Alg != "RSA-OAEP" || header.Enc != "A256GCM" || header.Zip != "" {
		return nil, errors.New("reading a JWE: it has other algorithms")
	}
	contentKey, err := rsa.DecryptOAEP(sha1.New(), nil, key, raw[1], nil) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("decrypting a JWE's content key: %w", err)
	}
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return nil, fmt.Errorf("using a JWE's content key: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("using a JWE's content key: %w", err)
	}
	if len(contentKey) != 32 || len(raw[2]) != gcm.NonceSize() {
		return nil, errors.New("reading a JWE: its content key or its initialization vector has another length")
	}
	plain, err := gcm.Open(nil, raw[2], append(raw[3], raw[4]...), []byte(parts[0]))
	if err != nil {
		return nil, fmt.Errorf("decrypting a JWE: %w", err)
	}
	return plain, nil
}

// DecryptPayload returns a webhook's body as it is without payload encryption.
func DecryptPayload(body []byte, key *rsa.PrivateKey) ([]byte, error) {
	type change struct {
		Value json.RawMessage `json:"value"`
		Field string          `json:"field"`
	}
	type entry struct {
		ID      string   `json:"id"`
		Changes []change `json:"changes"`
	}
	var p struct {
		Object string  `json:"object"`
		Entry  []entry `json:"entry"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("reading a webhook: %w", err)
	}
	for i := range p.Entry {
		for j := range p.Entry[i].Changes {
			c := &p.Entry[i].Changes[j]
			var v struct {
				Contents string `json:"encrypted_contents"`
			}
			if err := json.Unmarshal(c.Value, &v); err != nil {
				return nil, fmt.Errorf("reading a webhook's value: %w", err)
			}
			plain, err := Decrypt(v.Contents, key)
			if err != nil {
				return nil, err
			}
			c.Value = plain
		}
	}
	return json.Marshal(p)
}
