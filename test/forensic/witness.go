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
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// Witness is Vault's root, who looks at one relay's wrapping key.
type Witness struct {
	Root *api.Client
	Key  string // the wrapping key's name in transit
	// Identity is the path of the relay's first identity, which names its store.
	Identity string
}

// Unwrap implements seal.Wrapper with root's rights.
func (w Witness) Unwrap(ctx context.Context, wrapped string) ([]byte, error) {
	answer, err := w.Root.Logical().WriteWithContext(ctx, "transit/decrypt/"+w.Key, map[string]any{"ciphertext": wrapped})
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
func (w Witness) DataKey(context.Context) ([]byte, string, error) { return nil, "", errNoNewKey }

// Opens says whether root can unwrap an epoch's data key.
func (w Witness) Opens(ctx context.Context, e Epoch) (bool, error) {
	key, err := w.Unwrap(ctx, e.Wrapped)
	clear(key)
	if errors.Is(err, seal.ErrErased) {
		return false, nil
	}
	return err == nil, err
}

// Material returns all that Vault still holds of the wrapping key, by version: what
// root gets by a backup in plaintext and by exporting.
func (w Witness) Material(ctx context.Context) (map[int]string, error) {
	backup, err := vault.BackUpKey(ctx, w.Root, w.Key)
	if err != nil {
		return nil, err
	}
	all, err := vault.KeyMaterial(backup)
	if err != nil {
		return nil, err
	}
	answer, err := w.Root.Logical().ReadWithContext(ctx, "transit/export/encryption-key/"+w.Key)
	if err != nil {
		return nil, fmt.Errorf("exporting key %s: %w", w.Key, err)
	}
	exported, _ := answer.Data["keys"].(map[string]any)
	for version, key := range exported {
		n := Epoch{Wrapped: "vault:v" + version + ":"}.Version()
		all[n], _ = key.(string)
	}
	return all, nil
}

// OpensWith says whether any of the keys opens an epoch's data key, by hand and past
// Vault: AES-256-GCM with the nonce in front, as transit has it.
func OpensWith(material map[int]string, e Epoch) (bool, error) {
	sealed, err := base64.StdEncoding.DecodeString(e.Wrapped[strings.LastIndexByte(e.Wrapped, ':')+1:])
	if err != nil {
		return false, fmt.Errorf("reading a wrapped key: %w", err)
	}
	for _, text := range material {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return false, fmt.Errorf("reading a key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return false, fmt.Errorf("reading a key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return false, fmt.Errorf("reading a key: %w", err)
		}
		if _, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil); err == nil {
			return true, nil
		}
	}
	return false, nil
}

// Restored is a copy that was restored beside the relay, and opened as far as root's
// rights go.
type Restored struct {
	store *store.Store
	ring  *seal.Keyring
}

// Restore opens a copy of a copy with the relay's own code. The data keys of a period
// that has passed are not followed by new ones.
func (w Witness) Restore(ctx context.Context, c Copy, to string) (*Restored, error) {
	beside, err := Take(c.Dir, to)
	if err != nil {
		return nil, err
	}
	id, err := w.storeID(ctx)
	if err != nil {
		return nil, err
	}
	r := &Restored{ring: seal.New(w, 365*24*time.Hour, time.Now)}
	if r.store, err = store.Open(ctx, beside.Dir, id, r.ring, store.MustExist()); err != nil {
		r.ring.Close()
		return nil, fmt.Errorf("opening the restored copy: %w", err)
	}
	return r, nil
}

func (w Witness) storeID(ctx context.Context) (id [16]byte, err error) {
	answer, err := w.Root.Logical().ReadWithContext(ctx, w.Identity)
	if err != nil || answer == nil {
		return id, fmt.Errorf("reading the identity: %w", errors.Join(err, os.ErrNotExist))
	}
	fields, _ := answer.Data["data"].(map[string]any)
	text, _ := fields["storeID"].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, errors.New("reading the identity: it names no store")
	}
	return [16]byte(raw), nil
}

// Close closes the restored copy.
func (r *Restored) Close() error {
	defer r.ring.Close()
	return r.store.Close()
}

// Live are the epochs that can be read.
func (r *Restored) Live() []int64 {
	var ids []int64
	for _, e := range r.ring.Live() {
		ids = append(ids, e.ID)
	}
	return ids
}

// Reads says whether a message can be read, and whether it then says a text.
func (r *Restored) Reads(ctx context.Context, id, text string) (readable, says bool, err error) {
	err = r.store.View(ctx, func(t *store.Tx) error {
		m, err := t.Message(id)
		readable, says = err == nil, bytes.Contains(m.Body, []byte(text))
		return err
	})
	if errors.Is(err, seal.ErrErased) || errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return readable, says, err
}

// NumberMAC is by what a customer's number is found again in an epoch that lives.
func (r *Restored) NumberMAC(epoch int64, n phone.Number) ([]byte, error) {
	mac, err := r.ring.Lookup(epoch, "customer", []byte(n.Digits()))
	return mac[:], err
}
