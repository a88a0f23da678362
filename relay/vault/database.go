package vault

import (
	"context"
	"fmt"
	"log/slog"
)

// maxRole is how many bytes PostgreSQL's names have at most (NAMEDATALEN - 1).
const maxRole = 63

// DatabaseLogin is the relay's login at the region's PostgreSQL.
type DatabaseLogin struct{ Role, Password string }

// Format keeps the password out of everything that is printed.
func (DatabaseLogin) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[database login]")) }

// LogValue keeps the password out of logs.
func (DatabaseLogin) LogValue() slog.Value { return slog.StringValue("[database login]") }

// DatabaseLogin reads the tenant's login at PostgreSQL, which an admin put into Vault. It
// returns ErrNotFound when there is none.
func (c *Client) DatabaseLogin(ctx context.Context) (DatabaseLogin, error) {
	f, err := c.readKV(ctx, secretDatabase)
	if err != nil {
		return DatabaseLogin{}, fmt.Errorf("database login: %w", err)
	}
	l := DatabaseLogin{Role: f.text(fieldUsername, maxRole), Password: f.text(fieldPassword, maxSecret)}
	if err := f.err(); err != nil {
		return DatabaseLogin{}, fmt.Errorf("database login: %w", err)
	}
	return l, nil
}
