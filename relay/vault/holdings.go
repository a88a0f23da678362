package vault

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
)

// maxNamespaces bounds how many namespaces Holdings lists.
const maxNamespaces = 100_000

// Holding is what a region's Vault holds of one tenant.
type Holding struct {
	Namespace, Account string
	WrappingKey        bool
	SettingsKey        bool // in its own mount, or in its former place
	LogKey             bool
	Secrets            bool
}

// Holdings lists, with an admin's own login, what a region's Vault holds for each tenant, by
// namespace and account. When one listing fails or is incomplete, Holdings fails: callers would
// believe that the missing part is gone. Names that no relay can have are left out.
func Holdings(ctx context.Context, login *api.Client, v contract.Vault) ([]Holding, error) {
	c, err := newClient(Config{Vault: v, Role: adminRole})
	if err != nil {
		return nil, err
	}
	c.useAdmin(login)
	all := holdings{}
	for _, find := range []func(context.Context, *Client) error{all.keys, all.settings, all.secrets} {
		if err := find(ctx, c); err != nil {
			return nil, err
		}
	}
	return all.sorted(), nil
}

// holdings are the Holdings by the name of their wrapping key.
type holdings map[string]Holding

func (all holdings) sorted() []Holding {
	return slices.SortedFunc(maps.Values(all), func(a, b Holding) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Account, b.Account))
	})
}

// note changes the holding of the tenant whose wrapping key has that name, if a tenant's key
// can have it.
func (all holdings) note(key string, change func(*Holding)) {
	namespace, account, is := TenantOf(key)
	if !is {
		return
	}
	h := all[key]
	h.Namespace, h.Account = namespace, account
	change(&h)
	all[key] = h
}

func (all holdings) keys(ctx context.Context, c *Client) error {
	names, err := c.list(ctx, opListKeys, c.cfg.Vault.TransitMount+"/keys")
	for _, name := range names {
		if former, is := strings.CutSuffix(name, FormerSettingsSuffix); is {
			all.note(former, func(h *Holding) { h.SettingsKey = true })
			continue
		}
		all.note(name, func(h *Holding) { h.WrappingKey = true })
	}
	return err
}

func (all holdings) settings(ctx context.Context, c *Client) error {
	names, err := c.list(ctx, opListKeys, SettingsMount(c.cfg.Vault.TransitMount)+"/keys")
	for _, name := range names {
		if tenant, is := strings.CutSuffix(name, logSuffix); is {
			all.note(tenant, func(h *Holding) { h.LogKey = true })
			continue
		}
		all.note(name, func(h *Holding) { h.SettingsKey = true })
	}
	return err
}

func (all holdings) secrets(ctx context.Context, c *Client) error {
	return all.folders(ctx, c, c.cfg.Vault.KVMount+"/metadata", func(h *Holding) { h.Secrets = true })
}

// folders notes each tenant that has a folder below a path of a KV engine.
func (all holdings) folders(ctx context.Context, c *Client, metadata string, change func(*Holding)) error {
	namespaces, err := c.list(ctx, opListKV, metadata)
	if err != nil {
		return err
	}
	if len(namespaces) > maxNamespaces {
		return foreign(opListKV, "there are too many namespaces")
	}
	for _, namespace := range namespaces {
		if !strings.HasSuffix(namespace, "/") {
			continue
		}
		accounts, err := c.list(ctx, opListKV, metadata+"/"+strings.TrimSuffix(namespace, "/"))
		if err != nil {
			return err
		}
		for _, account := range accounts {
			if !strings.HasSuffix(account, "/") {
				continue
			}
			key := strings.TrimSuffix(namespace, "/") + "." + strings.TrimSuffix(account, "/")
			all.note(key, change)
		}
	}
	return nil
}
