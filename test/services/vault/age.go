package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// KeyPath returns the path of an operation, such as "keys" or "decrypt", on a transit
// key, which is named with its mount before it, or without where that is "transit".
func KeyPath(operation, name string) string {
	mount, key, other := strings.Cut(name, "/")
	if !other {
		mount, key = "transit", name
	}
	return mount + "/" + operation + "/" + key
}

// AgeKey makes every version of a transit key older, as if so much time had passed
// since it was made: by a backup in plaintext, whose times are changed, and its
// restoration. The client must be root's. The key can be exported ever after, so it
// must guard nothing. The backup is returned, for a test to hold what the key was.
func AgeKey(ctx context.Context, root *api.Client, name string, by time.Duration) (backup []byte, err error) {
	_, err = root.Logical().WriteWithContext(ctx, KeyPath("keys", name)+"/config", map[string]any{"exportable": true, "allow_plaintext_backup": true})
	if err != nil {
		return nil, fmt.Errorf("making key %s fit for a backup: %w", name, err)
	}
	if backup, err = BackUpKey(ctx, root, name); err != nil {
		return nil, err
	}
	older, err := older(backup, by)
	if err != nil {
		return nil, fmt.Errorf("making key %s older: %w", name, err)
	}
	_, err = root.Logical().WriteWithContext(ctx, KeyPath("restore", name), map[string]any{"backup": base64.StdEncoding.EncodeToString(older), "force": true})
	if err != nil {
		return nil, fmt.Errorf("restoring key %s: %w", name, err)
	}
	return backup, nil
}

// BackUpKey returns the plaintext backup of a key that AgeKey has made fit for it:
// JSON with all that there is of it.
func BackUpKey(ctx context.Context, root *api.Client, name string) ([]byte, error) {
	answer, err := root.Logical().ReadWithContext(ctx, KeyPath("backup", name))
	if err != nil {
		return nil, fmt.Errorf("backing up key %s: %w", name, err)
	}
	text, _ := answer.Data["backup"].(string)
	backup, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("backing up key %s: %w", name, err)
	}
	return backup, nil
}

// KeyMaterial returns the keys of all versions that a backup holds, in base64, by
// their version in its archive.
func KeyMaterial(backup []byte) (map[int]string, error) {
	var content struct {
		Archive struct {
			Keys []struct {
				Key string `json:"key"`
			} `json:"keys"`
		} `json:"archived_keys"`
		Policy struct {
			MinAvailable int `json:"min_available_version"`
		} `json:"policy"`
	}
	if err := json.Unmarshal(backup, &content); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	all := map[int]string{}
	for i, k := range content.Archive.Keys {
		if k.Key != "" { // the first place is empty
			all[i+content.Policy.MinAvailable] = k.Key
		}
	}
	return all, nil
}

// older returns a backup whose times are earlier. Unlike float64, json.Number keeps
// what else is in it as it is.
func older(backup []byte, by time.Duration) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(backup))
	d.UseNumber()
	var content any
	if err := d.Decode(&content); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	changed := 0
	if err := shift(content, by, &changed); err != nil {
		return nil, err
	}
	if changed == 0 {
		return nil, errors.New("the backup has no times")
	}
	return json.Marshal(content)
}

// Names of the times of a key's version in a backup: a time, and seconds since 1970.
const (
	versionTime    = "time"
	versionSeconds = "creation_time"
)

// shift moves the times of versions within a backup's value.
func shift(value any, by time.Duration, changed *int) error {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			if err := shift(one, by, changed); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, one := range v {
			moved, err := moved(name, one, by)
			if err != nil {
				return err
			}
			if moved != nil {
				v[name] = moved
				*changed++
				continue
			}
			if err := shift(one, by, changed); err != nil {
				return err
			}
		}
	}
	return nil
}

// moved returns a time moved, and nil for what is none.
func moved(name string, value any, by time.Duration) (any, error) {
	switch v := value.(type) {
	case string:
		if name != versionTime || strings.HasPrefix(v, "0001-") {
			return nil, nil
		}
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return nil, fmt.Errorf("reading a version's time: %w", err)
		}
		return at.Add(-by).Format(time.RFC3339Nano), nil
	case json.Number:
		if name != versionSeconds || v == "0" {
			return nil, nil
		}
		at, err := v.Int64()
		if err != nil {
			return nil, fmt.Errorf("reading a version's time: %w", err)
		}
		return at - int64(by/time.Second), nil
	default:
		return nil, nil
	}
}
