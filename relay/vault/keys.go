package vault

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// keyType is the type of wrapping keys.
const keyType = "aes256-gcm96"

// KeyVersion is one version of a wrapping key.
type KeyVersion struct {
	Version int
	Created time.Time // to the second, by Vault's clock
}

// KeyState is what Vault says about a wrapping key.
type KeyState struct {
	// Versions are the versions that can still decrypt, oldest first, without gaps, never
	// empty. Versions between MinAvailable and MinDecryption exist but are not listed.
	Versions      []KeyVersion
	MinDecryption int
	MinEncryption int           // 0: the latest
	MinAvailable  int           // 0: never trimmed
	AutoRotate    time.Duration // 0: never
}

// Latest returns the version that wraps now.
func (s KeyState) Latest() KeyVersion { return s.Versions[len(s.Versions)-1] }

// Oldest returns the oldest version that can still decrypt.
func (s KeyState) Oldest() KeyVersion { return s.Versions[0] }

// HasKeys reports whether the tenant's wrapping key exists. A relay calls it before EnsureKeys:
// a key without a store means that the store was lost (store.MustExist), and a store without a
// key, that its content was erased.
func (c *Client) HasKeys(ctx context.Context) (bool, error) {
	key, _, err := c.dataKey(ctx, c.wrapping())
	clear(key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// EnsureKeys makes the wrapping key, which rotates by itself every seal.Period of the retention,
// and the settings key, if they are missing. It returns the wrapping key's state. It does not
// change a key that exists.
func (c *Client) EnsureKeys(ctx context.Context, retention time.Duration) (KeyState, error) {
	if _, err := c.write(ctx, opCreateKey, c.settings().path("keys"), map[string]any{"type": keyType}); err != nil {
		return KeyState{}, err
	}
	answer, err := c.write(ctx, opCreateKey, c.wrapping().path("keys"), map[string]any{
		"type":               keyType,
		"auto_rotate_period": RotationPeriod(retention),
	})
	if err != nil {
		return KeyState{}, err
	}
	return parseKey(opCreateKey, answer)
}

// RotationPeriod is how often the wrapping key rotates for a retention, as it is written to
// Vault. Policies list the allowed values.
func RotationPeriod(retention time.Duration) string {
	return strconv.FormatInt(int64(seal.Period(retention)/time.Second), 10) + "s"
}

func parseKey(op string, data map[string]any) (KeyState, error) {
	f := fields{op: op, data: data}
	const high = 1 << 31
	s := KeyState{
		MinDecryption: int(f.integer("min_decryption_version", 0, high)),
		MinEncryption: int(f.integer("min_encryption_version", 0, high)),
		MinAvailable:  int(f.integer("min_available_version", 0, high)),
		AutoRotate:    time.Duration(f.integer("auto_rotate_period", 0, high)) * time.Second,
	}
	latest := int(f.integer("latest_version", 1, high))
	if f.text("type", 64) != keyType {
		f.fail("type", keyType)
	}
	s.Versions = f.versions("keys")
	if err := f.err(); err != nil {
		return KeyState{}, err
	}
	if s.Latest().Version != latest || s.Latest().Version-s.Oldest().Version != len(s.Versions)-1 {
		return KeyState{}, foreign(op, "the key's versions are not without gaps up to the latest")
	}
	return s, nil
}

// versions reads an object of version numbers and Unix times, in order.
func (f *fields) versions(name string) []KeyVersion {
	times, _ := f.data[name].(map[string]any)
	versions := make([]KeyVersion, 0, len(times))
	inner := fields{data: times}
	for _, key := range slices.Collect(maps.Keys(times)) {
		version, err := strconv.Atoi(key)
		created := inner.integer(key, 1, 1<<40)
		if err != nil || version < 1 || inner.problem != "" {
			f.fail(name, "versions with their times")
			return nil
		}
		versions = append(versions, KeyVersion{Version: version, Created: time.Unix(created, 0).UTC()})
	}
	if len(versions) == 0 {
		f.fail(name, "versions with their times")
	}
	slices.SortFunc(versions, func(a, b KeyVersion) int { return a.Version - b.Version })
	return versions
}

// DataKey returns a new data key, in the clear and wrapped by the latest version of the wrapping
// key. It returns ErrNotFound when the tenant has no wrapping key.
func (c *Client) DataKey(ctx context.Context) (plain []byte, wrapped string, err error) {
	return c.dataKey(ctx, c.wrapping())
}

// Unwrap returns a data key that DataKey wrapped. It returns ErrErased when the version that
// wrapped it was destroyed, and ErrNotFound when the tenant has no wrapping key at all.
func (c *Client) Unwrap(ctx context.Context, wrapped string) ([]byte, error) {
	if name, is := strings.CutPrefix(wrapped, carriedPrefix); is {
		return c.unwrapCarried(ctx, name)
	}
	return c.unwrap(ctx, c.wrapping(), wrapped)
}

var _ seal.Wrapper = (*Client)(nil)

func (c *Client) dataKey(ctx context.Context, key place) ([]byte, string, error) {
	answer, err := c.write(ctx, opDataKey, key.path("datakey/plaintext"), map[string]any{"bits": 8 * seal.KeySize})
	if err != nil {
		return nil, "", lostKey(err)
	}
	f := fields{op: opDataKey, data: answer}
	plain, wrapped := f.base64("plaintext", seal.KeySize), f.text("ciphertext", 1024)
	if !strings.HasPrefix(wrapped, "vault:v") {
		f.fail("ciphertext", "a wrapped key")
	}
	return plain, wrapped, f.err()
}

func (c *Client) unwrap(ctx context.Context, key place, wrapped string) ([]byte, error) {
	answer, err := c.write(ctx, opUnwrap, key.path("decrypt"), map[string]any{"ciphertext": wrapped})
	if err != nil {
		return nil, lostKey(err)
	}
	f := fields{op: opUnwrap, data: answer}
	return f.base64("plaintext", seal.KeySize), f.err()
}

// lostKey tells apart why transit answers 400 about a key: the key is gone, or this version of
// it, which transit says in three ways.
func lostKey(err error) error {
	e, ok := errors.AsType[*callError](err)
	if !ok || e.status != http.StatusBadRequest {
		return err
	}
	lost := *e
	switch {
	case e.says("encryption key not found", "signing key not found"):
		lost.kind = ErrNotFound
	case e.says("too old", "version is too new", "message authentication failed"):
		lost.kind = ErrErased
	default:
		return err
	}
	return &lost
}
