package vault

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Only the janitor's role may make these calls. Package retention knows in which order they are
// safe.

// Key returns the state of the tenant's wrapping key, or ErrNotFound.
func (c *Client) Key(ctx context.Context) (KeyState, error) {
	return c.wrappingAt().Key(ctx)
}

// Rotate makes a new latest version of the wrapping key.
func (c *Client) Rotate(ctx context.Context) error {
	return c.wrappingAt().Rotate(ctx)
}

// SetRotation makes the wrapping key rotate by itself as the retention requires.
func (c *Client) SetRotation(ctx context.Context, retention time.Duration) error {
	return c.configure(ctx, c.wrapping(), map[string]any{"auto_rotate_period": RotationPeriod(retention)})
}

// SetMinimum makes the wrapping key refuse to decrypt below one version and to wrap below
// another. That can be undone.
func (c *Client) SetMinimum(ctx context.Context, decryption, encryption int) error {
	return c.wrappingAt().SetMinimum(ctx, decryption, encryption)
}

// Trim destroys the versions below the given one. That cannot be undone.
func (c *Client) Trim(ctx context.Context, below int) error {
	return c.wrappingAt().Trim(ctx, below)
}

func (c *Client) wrappingAt() WrappingKey { return WrappingKey{c, c.wrapping()} }

func (c *Client) configure(ctx context.Context, key place, data map[string]any) error {
	_, err := c.write(ctx, opConfigKey, key.path("keys")+"/config", data)
	return err
}

// DeleteKeys destroys the wrapping key, the settings key, in its present and its former
// place, and the log's key, with all versions. A key that is already gone is no error.
func (c *Client) DeleteKeys(ctx context.Context) error {
	for _, key := range []place{c.wrapping(), c.settings(), c.formerSettings()} {
		if err := c.deleteKey(ctx, key); err != nil {
			return err
		}
	}
	return c.deleteLogKey(ctx)
}

// deleteLogKey destroys the key that signs the log. Policies of earlier releases do not allow
// it; where they are in force, there can be no such key.
func (c *Client) deleteLogKey(ctx context.Context) error {
	err := c.deleteKey(ctx, c.logKey())
	if errors.Is(err, ErrDenied) {
		return nil
	}
	return err
}

func (c *Client) deleteKey(ctx context.Context, key place) error {
	if _, err := c.read(ctx, opReadKey, key.path("keys")); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	err := c.configure(ctx, key, map[string]any{"deletion_allowed": true})
	if err == nil {
		err = c.remove(ctx, opDeleteKey, key.path("keys"))
	}
	if gone(err) {
		return nil // somebody else was quicker
	}
	return err
}

// gone says whether transit answered that there is no such key.
func gone(err error) bool {
	e, ok := errors.AsType[*callError](err)
	return ok && e.status == http.StatusBadRequest && e.says("no existing key", "could not delete key; not found", "not found")
}
