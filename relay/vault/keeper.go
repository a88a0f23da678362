package vault

import (
	"context"
	"strings"
	"time"
)

// Keeper is the client of a region's keeper of last resort: it reaches every wrapping
// key of the region's transit mount, belongs to no tenant, and may neither decrypt nor
// delete. It is safe for concurrent use.
type Keeper struct{ client *Client }

// NewKeeper makes a keeper's client. It ignores namespace and tenant of cfg.
func NewKeeper(cfg Config) (*Keeper, error) {
	cfg.Namespace, cfg.Tenant = "", ""
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Keeper{c}, nil
}

// Now returns Vault's clock, to the second.
func (k *Keeper) Now(ctx context.Context) (time.Time, error) { return k.client.Now(ctx) }

// Retry is Client.Retry.
func (k *Keeper) Retry(ctx context.Context, fn func(context.Context) error) error {
	return k.client.Retry(ctx, fn)
}

// Close is Client.Close.
func (k *Keeper) Close(ctx context.Context) { k.client.Close(ctx) }

// WrappingKeys lists the names of the wrapping keys in the region's transit mount, and says how
// many other keys are there: settings keys of an earlier release that have not moved yet, and
// keys that are not Relaykeep's.
func (k *Keeper) WrappingKeys(ctx context.Context) (names []string, others int, err error) {
	return k.client.WrappingKeys(ctx)
}

// WrappingKeys is Keeper.WrappingKeys for an admin's client.
func (c *Client) WrappingKeys(ctx context.Context) (names []string, others int, err error) {
	all, err := c.list(ctx, opListKeys, c.cfg.Vault.TransitMount+"/keys")
	for _, name := range all {
		if _, _, is := TenantOf(name); is {
			names = append(names, name)
		} else {
			others++
		}
	}
	return names, others, err
}

// TenantOf splits a wrapping key's name into the namespace, which has no dot, and the service
// account's name, which ends in "-relay". It returns false for any other name, such as that of a
// settings key in its former place, which ends in FormerSettingsSuffix.
func TenantOf(key string) (namespace, account string, ok bool) {
	namespace, account, ok = strings.Cut(key, ".")
	ok = ok && namespace != "" && len(account) > len(tenantSuffix) && strings.HasSuffix(account, tenantSuffix)
	return namespace, account, ok
}

// tenantSuffix ends the names of relays' service accounts.
const tenantSuffix = "-relay"

// Key returns one of the keys that WrappingKeys listed.
func (k *Keeper) Key(name string) WrappingKey {
	return WrappingKey{k.client, place{k.client.cfg.Vault.TransitMount, name}}
}

// WrappingKey is one wrapping key, for package retention to destroy its versions.
type WrappingKey struct {
	client *Client
	at     place
}

// Key returns the key's state, or ErrNotFound.
func (w WrappingKey) Key(ctx context.Context) (KeyState, error) {
	data, err := w.client.read(ctx, opReadKey, w.at.path("keys"))
	if err != nil {
		return KeyState{}, err
	}
	return parseKey(opReadKey, data)
}

// Rotate makes a new latest version.
func (w WrappingKey) Rotate(ctx context.Context) error {
	_, err := w.client.write(ctx, opRotateKey, w.at.path("keys")+"/rotate", nil)
	return err
}

// SetMinimum makes the key refuse to decrypt below one version and to wrap below another. That
// can be undone.
func (w WrappingKey) SetMinimum(ctx context.Context, decryption, encryption int) error {
	return w.client.configure(ctx, w.at, map[string]any{
		"min_decryption_version": decryption,
		"min_encryption_version": encryption,
	})
}

// Trim destroys the versions below the given one. That cannot be undone.
func (w WrappingKey) Trim(ctx context.Context, below int) error {
	_, err := w.client.write(ctx, opTrimKey, w.at.path("keys")+"/trim", map[string]any{"min_available_version": below})
	return err
}
