package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// A data key that a relay brought from another region is wrapped by the present region's wrapping key, whose versions are
// younger than what it opens. So what that key made of it is not in the store but in KV, below a name that says since when
// it counts: the janitor deletes it by that name.

// secretCarried is the folder of such data keys.
const secretCarried = "carried"

// carriedPrefix begins what the store has instead of the wrapped key: the name follows.
const carriedPrefix = "carried:"

const fieldWrapped = "wrapped"

// CarriedKey is a data key from another region, as the janitor sees it.
type CarriedKey struct {
	name string
	// Created is when the version of the wrapping key was made that wrapped it at first.
	Created time.Time
}

// carriedName names a data key; the epoch keeps it apart from others of one time.
func carriedName(created time.Time, epoch int64) string {
	return strconv.FormatInt(created.Unix(), 10) + "-" + strconv.FormatInt(epoch, 10)
}

// parseCarried reads a name.
func parseCarried(name string) (CarriedKey, bool) {
	seconds, epoch, found := strings.Cut(name, "-")
	created, err := strconv.ParseInt(seconds, 10, 64)
	_, epochErr := strconv.ParseInt(epoch, 10, 64)
	if !found || err != nil || epochErr != nil || created < 0 || created > 1<<40 {
		return CarriedKey{}, false
	}
	return CarriedKey{name: name, Created: time.Unix(created, 0).UTC()}, true
}

// WrappedSince says when the version of the wrapping key was made that wrapped a data key, by the key's state or, for one
// that was carried before, by its name.
func WrappedSince(wrapped string, state KeyState) (time.Time, bool) {
	if name, is := strings.CutPrefix(wrapped, carriedPrefix); is {
		key, ok := parseCarried(name)
		return key.Created, ok
	}
	text, _ := strings.CutPrefix(wrapped, "vault:v")
	number, _, _ := strings.Cut(text, ":")
	for _, v := range state.Versions {
		if strconv.Itoa(v.Version) == number {
			return v.Created, true
		}
	}
	return time.Time{}, false
}

// CarryDataKey has a data key from another region wrapped by the tenant's wrapping key, so that it dies when the key
// version would have died that was made then, and returns what the store has for it.
func (c *Client) CarryDataKey(ctx context.Context, plain []byte, created time.Time, epoch int64) (wrapped string, err error) {
	name := carriedName(created, epoch)
	text, err := c.encrypt(ctx, c.wrapping(), plain)
	if err != nil {
		return "", err
	}
	_, err = c.loadOrCreate(ctx, secretCarried+"/"+name, func() (map[string]any, error) {
		return map[string]any{fieldWrapped: text}, nil
	})
	if err != nil {
		return "", fmt.Errorf("keeping a data key: %w", err)
	}
	return carriedPrefix + name, nil
}

// CarriedErased is what the store has for a data key that was destroyed before it could be carried.
func CarriedErased(epoch int64) string { return carriedPrefix + carriedName(time.Unix(0, 0), epoch) }

// Carry has a data key of settings from another region wrapped by the tenant's settings key.
func (s Settings) Carry(ctx context.Context, plain []byte) (wrapped string, err error) {
	text, err := s.client.encrypt(ctx, s.client.settings(), plain)
	if err != nil {
		return "", err
	}
	return movedPrefix + text, nil
}

// unwrapCarried opens a data key from another region. It returns ErrErased once the janitor has deleted it.
func (c *Client) unwrapCarried(ctx context.Context, name string) ([]byte, error) {
	if _, ok := parseCarried(name); !ok {
		return nil, foreign(opReadKV, "the store names no data key")
	}
	f, err := c.readKV(ctx, secretCarried+"/"+name)
	if errors.Is(err, ErrNotFound) {
		return nil, &callError{op: opReadKV, kind: ErrErased}
	}
	if err != nil {
		return nil, err
	}
	text := f.text(fieldWrapped, 1024)
	if err := f.err(); err != nil {
		return nil, err
	}
	return c.unwrap(ctx, c.wrapping(), text)
}

// Carried lists the data keys from another region that still exist. Only the janitor and an admin may do that. Policies of
// earlier releases do not allow it; where they are in force, there can be no such key.
func (c *Client) Carried(ctx context.Context) ([]CarriedKey, error) {
	names, err := c.list(ctx, opListKV, c.kvMetadataPath(secretCarried))
	if errors.Is(err, ErrDenied) {
		return nil, nil
	}
	keys := make([]CarriedKey, 0, len(names))
	for _, name := range names {
		if key, ok := parseCarried(name); ok {
			keys = append(keys, key)
		}
	}
	return keys, err
}

// DropCarried destroys a data key from another region.
func (c *Client) DropCarried(ctx context.Context, key CarriedKey) error {
	return c.DeleteSecret(ctx, secretCarried+"/"+key.name)
}

// encrypt has Vault encrypt a data key with a key of the tenant.
func (c *Client) encrypt(ctx context.Context, key place, plain []byte) (string, error) {
	if len(plain) != seal.KeySize {
		return "", seal.ErrBadKey
	}
	answer, err := c.write(ctx, opWrap, key.path("encrypt"), map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)})
	if err != nil {
		return "", lostKey(err)
	}
	f := fields{op: opWrap, data: answer}
	text := f.text("ciphertext", 1024)
	if !strings.HasPrefix(text, "vault:v") {
		f.fail("ciphertext", "a wrapped key")
	}
	return text, f.err()
}
