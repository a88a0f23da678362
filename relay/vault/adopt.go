package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Adopt gives the tenant's names to another owner, with an admin's own login. What is stored
// under the names stays as it is: identity, wrapping key, carrier account. The credentials,
// which are stored below their account's UID, are copied below the new one's, so that the
// business's programs keep their tokens. Then the owner is recorded, and what is stored below
// former accounts' UIDs is removed. If it was interrupted, running it again finishes the work.
func (c *Client) Adopt(ctx context.Context, to Owner) error {
	if _, err := checkUID(to.Account); err != nil {
		return err
	}
	names, err := c.Secrets(ctx)
	if err != nil {
		return err
	}
	former := ""
	if o, err := c.ReadOwner(ctx); err == nil {
		former = o.Account
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, name := range names {
		if n, is := accessOf(name, former); is {
			if err := c.copySecret(ctx, name, accessName(to.Account, n)); err != nil {
				return err
			}
		}
	}
	if err := c.writeOwner(ctx, to); err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, secretAccess+"/") && pathDepth(name) == 2 && !strings.HasPrefix(name, accessName(to.Account, "")) {
			if err := c.DeleteSecret(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// accessOf returns the number of the credentials in a secret if they must be copied: they are
// below an account's UID, or in their former place.
func accessOf(name, account string) (n string, is bool) {
	if account != "" {
		if n, is = strings.CutPrefix(name, accessName(account, "")); is {
			return n, true
		}
	}
	n, is = strings.CutPrefix(name, secretAccess+"/")
	return n, is && pathDepth(n) == 0
}

// copySecret copies a secret to a path that has none.
func (c *Client) copySecret(ctx context.Context, from, to string) error {
	f, err := c.readKV(ctx, from)
	if err != nil {
		return err
	}
	if _, err := c.loadOrCreate(ctx, to, func() (map[string]any, error) { return f.data, nil }); err != nil {
		return fmt.Errorf("copying credentials: %w", err)
	}
	return nil
}

// writeOwner replaces the recorded owner.
func (c *Client) writeOwner(ctx context.Context, o Owner) error {
	return c.replaceKV(ctx, secretOwner, o.fields())
}
