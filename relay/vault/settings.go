package vault

import (
	"context"
	"strings"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// place is a key's mount and name.
type place struct{ mount, name string }

// path returns the path of an operation on the key, such as "keys" or "decrypt".
func (p place) path(operation string) string { return p.mount + "/" + operation + "/" + p.name }

func (c *Client) wrapping() place { return place{c.cfg.Vault.TransitMount, c.wrappingKey()} }

func (c *Client) settings() place {
	return place{SettingsMount(c.cfg.Vault.TransitMount), c.wrappingKey()}
}

// formerSettings is the former place of settings keys: beside the wrapping keys, where the
// keeper's policy reaches them.
func (c *Client) formerSettings() place {
	return place{c.cfg.Vault.TransitMount, c.wrappingKey() + FormerSettingsSuffix}
}

// FormerSettingsSuffix ends the names of settings keys in their former place, among the wrapping
// keys. No wrapping key's name ends like this: those end in "-relay".
const FormerSettingsSuffix = "-settings"

// SettingsMount is the mount of the settings keys that belongs to a mount of wrapping keys. It
// is separate so that the keeper's policy, which reaches every key of the other mount, does not
// cover them: settings have no retention.
func SettingsMount(transit string) string { return transit + "-settings" }

// movedPrefix begins what a settings key in its own mount wrapped. Vault's own text follows it,
// which does not say which key wrapped it.
const movedPrefix = "settings:"

// Settings wraps data keys for what the business itself wants kept: its key is never rotated or
// trimmed, and dies only with the tenant.
type Settings struct{ client *Client }

// Settings returns a wrapper that uses the tenant's settings key.
func (c *Client) Settings() Settings { return Settings{c} }

var _ seal.Wrapper = Settings{}

// DataKey implements seal.Wrapper.
func (s Settings) DataKey(ctx context.Context) (plain []byte, wrapped string, err error) {
	plain, wrapped, err = s.client.dataKey(ctx, s.client.settings())
	if err != nil {
		return nil, "", err
	}
	return plain, movedPrefix + wrapped, nil
}

// Unwrap implements seal.Wrapper. It also unwraps what the key in the former place
// wrapped.
func (s Settings) Unwrap(ctx context.Context, wrapped string) ([]byte, error) {
	if text, moved := strings.CutPrefix(wrapped, movedPrefix); moved {
		return s.client.unwrap(ctx, s.client.settings(), text)
	}
	return s.client.unwrap(ctx, s.client.formerSettings(), wrapped)
}

// Outdated reports whether the key in the former place wrapped a data key, so that what that
// sealed must be sealed under another.
func (Settings) Outdated(wrapped string) bool { return !strings.HasPrefix(wrapped, movedPrefix) }
