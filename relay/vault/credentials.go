package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
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

// Format keeps the secrets out of everything that is printed.
func (Access) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[access]")) }

// LogValue keeps the secrets out of logs.
func (Access) LogValue() slog.Value { return slog.StringValue("[access]") }

// Names of a tenant's secrets: secretAccess is the folder of the business's credentials.
const (
	secretAccess   = "access"
	secretCarrier  = "carrier"
	secretDatabase = "postgres"
)

// Fields of the secrets.
const (
	fieldAccessToken       = "accessToken"
	fieldWebhookSecret     = "webhookSecret"
	fieldVerifyToken       = "verifyToken"
	fieldUsername          = "username"
	fieldPassword          = "password"
	fieldRegistrationToken = "registrationToken"
)

// accessName is where credentials are stored: below the UID of the account that reads them.
// Vault's policies require that UID, so that a later account of the same name cannot read them.
func accessName(account, n string) string { return secretAccess + "/" + account + "/" + n }

// AccessName is the name of the credentials n among the tenant's secrets.
func AccessName(account string, n int) string { return accessName(account, strconv.Itoa(n)) }

// Access reads the tenant's access n, or makes it.
func (c *Client) Access(ctx context.Context, n int) (Access, error) {
	return c.access(ctx, n, func() (map[string]any, error) {
		kept, err := c.formerAccess(ctx, n)
		if !errors.Is(err, ErrNotFound) {
			return kept, err
		}
		return map[string]any{
			fieldAccessToken:   randomSecret(),
			fieldWebhookSecret: randomSecret(),
			fieldVerifyToken:   randomSecret(),
		}, nil
	})
}

// KeptAccess reads the tenant's access n, or returns ErrNotFound. Credentials in their former
// place are copied to the new one.
func (c *Client) KeptAccess(ctx context.Context, n int) (Access, error) {
	return c.access(ctx, n, func() (map[string]any, error) { return c.formerAccess(ctx, n) })
}

// ReadAccess reads the tenant's access n, or returns ErrNotFound. The credentials role may do
// nothing else.
func (c *Client) ReadAccess(ctx context.Context, n int) (Access, error) {
	return c.access(ctx, n, nil)
}

// formerAccess reads credentials from their former place, without their account's UID in the
// path.
func (c *Client) formerAccess(ctx context.Context, n int) (map[string]any, error) {
	f, err := c.readKV(ctx, secretAccess+"/"+strconv.Itoa(n))
	return f.data, err
}

func (c *Client) access(ctx context.Context, n int, fresh func() (map[string]any, error)) (Access, error) {
	account, err := c.Account(ctx)
	if err != nil {
		return Access{}, fmt.Errorf("access %d: %w", n, err)
	}
	f, err := c.loadOrCreate(ctx, AccessName(account, n), fresh)
	if err != nil {
		return Access{}, fmt.Errorf("access %d: %w", n, err)
	}
	a := Access{
		AccessToken:   f.text(fieldAccessToken, maxSecret),
		WebhookSecret: f.text(fieldWebhookSecret, maxSecret),
		VerifyToken:   f.text(fieldVerifyToken, maxSecret),
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
	// RegistrationToken lets the relay register the account; empty when the account exists.
	RegistrationToken string
}

// Format keeps the password and the number out of everything that is printed.
func (CarrierAccount) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[carrier account]")) }

// LogValue keeps the password and the number out of logs.
func (CarrierAccount) LogValue() slog.Value { return slog.StringValue("[carrier account]") }

// CarrierAccount reads the tenant's account at the carrier. When there is none, it makes one for
// the given number, with a random password, for the relay to register. With the zero number it
// returns ErrNotFound instead: an admin must make the account.
func (c *Client) CarrierAccount(ctx context.Context, create phone.Number) (CarrierAccount, error) {
	var fresh func() (map[string]any, error)
	if !create.IsZero() {
		fresh = func() (map[string]any, error) {
			return map[string]any{fieldUsername: create.E164(), fieldPassword: randomSecret()}, nil
		}
	}
	f, err := c.loadOrCreate(ctx, secretCarrier, fresh)
	if err != nil {
		return CarrierAccount{}, fmt.Errorf("carrier account: %w", err)
	}
	a := CarrierAccount{
		Username: f.text(fieldUsername, 1023), Password: f.text(fieldPassword, maxSecret),
		RegistrationToken: f.optional(fieldRegistrationToken, maxSecret),
	}
	if err := f.err(); err != nil {
		return CarrierAccount{}, fmt.Errorf("carrier account: %w", err)
	}
	return a, nil
}
