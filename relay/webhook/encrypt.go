package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Why a payload could not be encrypted. Then nothing was sent.
var (
	// ErrNotEncrypted means that the business's key does not encrypt.
	ErrNotEncrypted = errors.New("the webhook could not be encrypted")
	// ErrNotPayload means that what was stored is no payload, which no key is to blame for.
	ErrNotPayload = errors.New("the stored webhook is not a payload, and so cannot be encrypted")
)

// The wire form of a payload whose values are encrypted. The Cloud API's documentation has no
// example: the names are those of its messages_encrypted, and what a receiver needs to find the
// number, and so the key, stays outside.
type (
	foreignPayload struct {
		Object string         `json:"object"`
		Entry  []foreignEntry `json:"entry"`
	}
	foreignEntry struct {
		ID      string          `json:"id"`
		Changes []foreignChange `json:"changes"`
	}
	foreignChange struct {
		Value json.RawMessage `json:"value"`
		Field string          `json:"field"`
	}
	encryptedValue struct {
		MessagingProduct string   `json:"messaging_product"`
		Metadata         metadata `json:"metadata"`
		Contents         string   `json:"encrypted_contents"`
	}
)

// encryptPayload returns a payload with the same envelope, in which each value has only the
// number's own metadata and the value as a JWE. Any error is ErrNotEncrypted or ErrNotPayload.
func encryptPayload(body []byte, encrypt func(plain []byte) (string, error)) ([]byte, error) {
	var p foreignPayload
	if json.Unmarshal(body, &p) != nil || len(p.Entry) == 0 {
		return nil, ErrNotPayload
	}
	for i := range p.Entry {
		for j := range p.Entry[i].Changes {
			v, err := encryptValue(p.Entry[i].Changes[j].Value, encrypt)
			if err != nil {
				return nil, err
			}
			p.Entry[i].Changes[j].Value = v
		}
	}
	encrypted, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("%w: its envelope cannot be written", ErrNotEncrypted)
	}
	return ascii(encrypted), nil
}

func encryptValue(plain []byte, encrypt func([]byte) (string, error)) ([]byte, error) {
	v := encryptedValue{MessagingProduct: "whatsapp"}
	var shown struct {
		Metadata metadata `json:"metadata"`
	}
	if json.Unmarshal(plain, &shown) != nil || shown.Metadata == (metadata{}) {
		return nil, ErrNotPayload
	}
	v.Metadata = shown.Metadata
	var err error
	if v.Contents, err = encrypt(plain); err != nil || v.Contents == "" {
		return nil, errors.Join(ErrNotEncrypted, err)
	}
	encrypted, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: its value cannot be written", ErrNotEncrypted)
	}
	return encrypted, nil
}
