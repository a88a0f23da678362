package vault

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
)

// maxSecrets bounds how many secrets of a tenant are listed; a rotated one has a few.
const maxSecrets = 10_000

// ForAdmin makes a client that works on a tenant with an admin's own login, which is
// used as it is and neither renewed nor given back: for what the tenant's own accounts
// cannot do any more, because their namespace or their cluster is gone.
func ForAdmin(login *api.Client, v contract.Vault, namespace, tenant string) (*Client, error) {
	c, err := New(Config{Vault: v, Namespace: namespace, Tenant: tenant, Role: contract.RoleJanitor})
	if err != nil {
		return nil, err
	}
	never := time.Now().Add(100 * 365 * 24 * time.Hour)
	c.token = token{client: login, renewAt: never, endsAt: never}
	return c, nil
}

// Secrets lists the names of everything that is kept for the tenant in KV, such as
// "identity/1": an admin's right, neither the relay's nor the janitor's.
func (c *Client) Secrets(ctx context.Context) ([]string, error) { return c.listSecrets(ctx, "", nil) }

func (c *Client) listSecrets(ctx context.Context, below string, found []string) ([]string, error) {
	var keys []any
	err := c.call(ctx, opListKV, func(ctx context.Context, client *api.Client) error {
		secret, err := client.Logical().ListWithContext(ctx, strings.TrimSuffix(c.kvMetadataPath(below), "/"))
		if err == nil && secret != nil {
			keys, _ = secret.Data["keys"].([]any)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return found, err
	}
	for _, key := range keys {
		name, ok := key.(string)
		if !ok || !pathPart(strings.TrimSuffix(name, "/")) || len(found) >= maxSecrets {
			return found, foreign(opListKV, "the list holds what is no name, or is too long")
		}
		if !strings.HasSuffix(name, "/") {
			found = append(found, below+name)
			continue
		}
		if strings.Count(below, "/") > 2 {
			return found, foreign(opListKV, "the tenant's secrets are nested deeper than this relay writes")
		}
		if found, err = c.listSecrets(ctx, below+name, found); err != nil {
			return found, err
		}
	}
	return found, nil
}
