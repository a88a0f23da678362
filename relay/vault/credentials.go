package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// maxSecret bounds a credential that an admin may have chosen.
const maxSecret = 512

// Access holds the business's credentials. Those that the relay makes are base64url
// of 32 random bytes each.
type Access struct {
	AccessToken   string // the business sends it with every call
	WebhookSecret string // signs webhooks (X-Hub-Signature-256)
	VerifyToken   string // of the webhook's handshake
}

// Format keeps the secrets out of anything printed.
func (Access) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[access]")) }

// LogValue keeps the secrets out of logs.
func (Access) LogValue() slog.Value { return slog.StringValue("[access]") }

// Access reads the tenant's access n, or makes it.
func (c *Client) Access(ctx context.Context, n int) (Access, error) {
	return c.access(ctx, n, func() (map[string]any, error) {
		return map[string]any{
			"accessToken":   randomSecret(),
			"webhookSecret": randomSecret(),
			"verifyToken":   randomSecret(),
		}, nil
	})
}

// ReadAccess reads the tenant's access n, or returns ErrNotFound: all that the
// credentials role may do.
func (c *Client) ReadAccess(ctx context.Context, n int) (Access, error) {
	return c.access(ctx, n, nil)
}

func (c *Client) access(ctx context.Context, n int, fresh func() (map[string]any, error)) (Access, error) {
	f, err := c.loadOrCreate(ctx, "access/"+strconv.Itoa(n), fresh)
	if err != nil {
		return Access{}, fmt.Errorf("access %d: %w", n, err)
	}
	a := Access{
		AccessToken:   f.text("accessToken", maxSecret),
		WebhookSecret: f.text("webhookSecret", maxSecret),
		VerifyToken:   f.text("verifyToken", maxSecret),
	}
	if err := f.err(); err != nil {
		return Access{}, fmt.Errorf("access %d: %w", n, err)
	}
	return a, nil
}

func randomSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// CarrierAccount is the relay's login at the carrier.
type CarrierAccount struct {
	Username string // the localpart, "+<digits>"
	Password string
	// RegistrationToken lets the relay register the account; empty when it is there.
	RegistrationToken string
}

// Format keeps the password and the number out of anything printed.
func (CarrierAccount) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[carrier account]")) }

// LogValue keeps the password and the number out of logs.
func (CarrierAccount) LogValue() slog.Value { return slog.StringValue("[carrier account]") }

// CarrierAccount reads the tenant's account at the carrier. When there is none it
// makes one for the given number, with a random password, to be registered; with the
// zero number, where accounts are an admin's to make, it returns ErrNotFound.
func (c *Client) CarrierAccount(ctx context.Context, create phone.Number) (CarrierAccount, error) {
	var fresh func() (map[string]any, error)
	if !create.IsZero() {
		fresh = func() (map[string]any, error) {
			return map[string]any{"username": create.E164(), "password": randomSecret()}, nil
		}
	}
	f, err := c.loadOrCreate(ctx, "carrier", fresh)
	if err != nil {
		return CarrierAccount{}, fmt.Errorf("carrier account: %w", err)
	}
	a := CarrierAccount{
		Username: f.text("username", 1023), Password: f.text("password", maxSecret),
		RegistrationToken: f.optional("registrationToken", maxSecret),
	}
	if err := f.err(); err != nil {
		return CarrierAccount{}, fmt.Errorf("carrier account: %w", err)
	}
	return a, nil
}
