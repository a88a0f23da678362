package vault

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// secretOwner is the name of the record of who owns a tenant's names.
const secretOwner = "owner"

// maxUID bounds a service account's UID; Kubernetes' own have 36 characters.
const maxUID = 64

// Owner is who uses a tenant's names in Vault. The names outlive the objects in Kubernetes: a
// later tenant with the same namespace and name is another owner.
type Owner struct {
	Account string       // the UID of the relay's service account
	Number  phone.Number // the business's own
}

// Format keeps the number out of everything that is printed.
func (Owner) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[owner]")) }

// LogValue keeps the number out of logs.
func (Owner) LogValue() slog.Value { return slog.StringValue("[owner]") }

// Account returns the UID of the service account as which Vault logged this client in.
func (c *Client) Account(ctx context.Context) (string, error) {
	if _, err := c.ensureLogin(ctx, nil); err != nil {
		return "", c.note(err)
	}
	c.mu.Lock()
	uid := c.token.account
	c.mu.Unlock()
	return checkUID(uid)
}

// checkUID returns the UID if it is valid in a path.
func checkUID(uid string) (string, error) {
	if !pathPart(uid) || len(uid) > maxUID || pathDepth(uid) > 0 {
		return "", foreign(opLogin, "the login's answer names no service account")
	}
	return uid, nil
}

// ReadOwner reads who owns the tenant's names, or returns ErrNotFound.
func (c *Client) ReadOwner(ctx context.Context) (Owner, error) { return c.owner(ctx, nil) }

// Own records, once, that this client's account with a number owns the tenant's names. It
// returns the owner, which is another one if that was recorded before.
func (c *Client) Own(ctx context.Context, number phone.Number) (Owner, error) {
	uid, err := c.Account(ctx)
	if err != nil {
		return Owner{}, err
	}
	return c.owner(ctx, func() (map[string]any, error) { return Owner{uid, number}.fields(), nil })
}

func (o Owner) fields() map[string]any {
	return map[string]any{"account": o.Account, "number": o.Number.E164()}
}

func (c *Client) owner(ctx context.Context, fresh func() (map[string]any, error)) (Owner, error) {
	f, err := c.loadOrCreate(ctx, secretOwner, fresh)
	if err != nil {
		return Owner{}, fmt.Errorf("owner: %w", err)
	}
	o := Owner{Account: f.text("account", maxUID)}
	if o.Number, err = phone.Parse(f.text("number", 32)); err != nil {
		f.fail("number", "a telephone number")
	}
	if err := f.err(); err != nil {
		return Owner{}, fmt.Errorf("owner: %w", err)
	}
	return o, nil
}
