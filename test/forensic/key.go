package forensic

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// Key is one key in transit, in the hands of Vault's root.
type Key struct {
	Root *api.Client
	Name string // with its mount before it, or without in "transit"
}

// Unwrap implements seal.Wrapper with root's rights.
func (k Key) Unwrap(ctx context.Context, wrapped string) ([]byte, error) {
	answer, err := k.Root.Logical().WriteWithContext(ctx, vault.KeyPath("decrypt", k.Name), map[string]any{"ciphertext": strings.TrimPrefix(wrapped, "settings:")})
	if refusal, ok := errors.AsType[*api.ResponseError](err); ok && refusal.StatusCode == http.StatusBadRequest {
		return nil, seal.ErrErased
	}
	if err != nil {
		return nil, fmt.Errorf("unwrapping as root: %w", err)
	}
	text, _ := answer.Data["plaintext"].(string)
	return base64.StdEncoding.DecodeString(text)
}

// errNoNewKey is the answer to a copy that would begin a new epoch.
var errNoNewKey = errors.New("a witness makes no keys")

// DataKey implements seal.Wrapper: a copy is looked at, not gone on with.
func (k Key) DataKey(context.Context) ([]byte, string, error) { return nil, "", errNoNewKey }

// Opens says whether root can unwrap a data key with this key.
func (k Key) Opens(ctx context.Context, e Epoch) (bool, error) {
	key, err := k.Unwrap(ctx, e.Wrapped)
	clear(key)
	if errors.Is(err, seal.ErrErased) {
		return false, nil
	}
	return err == nil, err
}

// Material returns all that Vault still holds of the key, by version: what
// root gets by a backup in plaintext and by exporting.
func (k Key) Material(ctx context.Context) (map[int]string, error) {
	backup, err := vault.BackUpKey(ctx, k.Root, k.Name)
	if err != nil {
		return nil, err
	}
	all, err := vault.KeyMaterial(backup)
	if err != nil {
		return nil, err
	}
	answer, err := k.Root.Logical().ReadWithContext(ctx, vault.KeyPath("export/encryption-key", k.Name))
	if err != nil {
		return nil, fmt.Errorf("exporting key %s: %w", k.Name, err)
	}
	exported, _ := answer.Data["keys"].(map[string]any)
	for version, key := range exported {
		n := Epoch{Wrapped: "vault:v" + version + ":"}.Version()
		all[n], _ = key.(string)
	}
	return all, nil
}

// OpensWith says whether any of the keys opens a data key, by hand and past Vault.
func OpensWith(material map[int]string, e Epoch) (bool, error) {
	key, err := openWith(material, e)
	clear(key)
	return key != nil, err
}

// openWith returns the data key that any of the keys opens, nil for none: AES-256-GCM
// with the nonce in front, as transit has it.
func openWith(material map[int]string, e Epoch) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(e.Wrapped[strings.LastIndexByte(e.Wrapped, ':')+1:])
	if err != nil {
		return nil, fmt.Errorf("reading a wrapped key: %w", err)
	}
	for _, text := range material {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		if plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil); err == nil {
			return plain, nil
		}
	}
	return nil, nil
}

// standIn is a wrapper that has other data keys in the place of those that are gone,
// by the epoch's wrapped key.
type standIn struct {
	Key
	instead map[string][]byte
}

// Unwrap implements seal.Wrapper.
func (s standIn) Unwrap(ctx context.Context, wrapped string) ([]byte, error) {
	if key, ok := s.instead[wrapped]; ok {
		return bytes.Clone(key), nil
	}
	return s.Key.Unwrap(ctx, wrapped)
}
