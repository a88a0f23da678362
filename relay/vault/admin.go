package vault

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Bounds of one listing of a tenant's secrets. A tenant has a few; a captured relay may
// write more below its path.
const (
	maxSecrets = 10_000
	maxFolders = 1_000
	maxDepth   = 64
)

// ForAdmin makes a client that works on a tenant with an admin's own login, which it neither
// renews nor revokes. It is for what the tenant's own accounts can no longer do because their
// namespace or their cluster is gone.
func ForAdmin(login *api.Client, v contract.Vault, namespace, tenant string) (*Client, error) {
	c, err := New(Config{Vault: v, Namespace: namespace, Tenant: tenant, Role: adminRole})
	if err != nil {
		return nil, err
	}
	c.useAdmin(login)
	return c, nil
}

// adminRole fills the required role; an admin's client does not log in.
const adminRole = "admin"

func (c *Client) useAdmin(login *api.Client) {
	never := time.Now().Add(100 * 365 * 24 * time.Hour)
	c.token = token{client: login, renewAt: never, endsAt: never}
	c.api = login // it knows how Vault is reached from here
}

// Secrets lists the names of the tenant's secrets in KV, such as "identity/1". The janitor and
// an admin may do that, the relay may not. It lists at most 10,000: when these are deleted, list
// again. With an error it still returns what it found, so that nothing that somebody put there
// can hide the rest.
func (c *Client) Secrets(ctx context.Context) ([]string, error) {
	var found []string
	var failed error
	folders := []string{""}
	for looked := 0; len(folders) > 0 && len(found) < maxSecrets && looked < maxFolders; looked++ {
		below := folders[0]
		folders = folders[1:]
		names, err := c.list(ctx, opListKV, strings.TrimSuffix(c.kvMetadataPath(below), "/"))
		if err != nil {
			failed = errors.Join(failed, err)
			if Temporary(err) {
				break
			}
		}
		for _, name := range names {
			switch {
			case !strings.HasSuffix(name, "/"):
				found = append(found, below+name)
			case strings.Count(below, "/") < maxDepth:
				folders = append(folders, below+name)
			default:
				failed = errors.Join(failed, foreign(opListKV, "the tenant's secrets are nested too deeply"))
			}
		}
	}
	return found[:min(len(found), maxSecrets)], failed
}

// Holds says whether Vault holds anything of the tenant, a key or a secret. Only an admin may
// ask. For a mistyped namespace or name it says no.
func (c *Client) Holds(ctx context.Context) (bool, error) {
	return c.holds(ctx, func(string) bool { return true })
}

// HoldsMore is Holds without the login at PostgreSQL, which an admin puts there before the relay comes.
func (c *Client) HoldsMore(ctx context.Context) (bool, error) {
	return c.holds(ctx, func(secret string) bool { return secret != secretDatabase })
}

func (c *Client) holds(ctx context.Context, counts func(secret string) bool) (bool, error) {
	for _, key := range []place{c.wrapping(), c.settings(), c.formerSettings(), c.logKey()} {
		_, err := c.read(ctx, opReadKey, key.path("keys"))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return false, err
		}
	}
	names, err := c.Secrets(ctx)
	return slices.ContainsFunc(names, counts), err
}
