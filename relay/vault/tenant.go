package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
)

// Tenant is where a relay's secrets are in Vault, for callers that read or write them with their
// own login. Its methods may return Vault's own errors (*api.ResponseError).
type Tenant struct {
	KVMount   string
	Namespace string
	Account   string // name of the relay's service account
}

// ErrExists means that there is such a secret and the caller did not ask to replace it.
var ErrExists = errors.New("vault: there is such a secret already")

// MissingError means that a secret has no value in one of its fields.
type MissingError struct{ Field string }

// Error implements error.
func (e *MissingError) Error() string { return "vault: the secret has no " + e.Field }

func (t Tenant) path(name string) string {
	return t.KVMount + "/data/" + t.Namespace + "/" + t.Account + "/" + name
}

// Access reads the business's credentials n, which are stored below the UID of the account that
// the login belongs to. It may return ErrNotFound or a *MissingError.
func (t Tenant) Access(ctx context.Context, login *api.Client, account string, n int) (a Access, err error) {
	secret, err := login.Logical().ReadWithContext(ctx, t.path(AccessName(account, n)))
	if err != nil {
		return a, fmt.Errorf("access %d: %w", n, err)
	}
	if secret == nil {
		return a, fmt.Errorf("access %d: %w", n, ErrNotFound)
	}
	fields, _ := secret.Data["data"].(map[string]any)
	for _, f := range []struct {
		name string
		to   *string
	}{{fieldAccessToken, &a.AccessToken}, {fieldWebhookSecret, &a.WebhookSecret}, {fieldVerifyToken, &a.VerifyToken}} {
		if *f.to, _ = fields[f.name].(string); *f.to == "" {
			return Access{}, &MissingError{f.name}
		}
	}
	return a, nil
}

// WriteCarrierAccount writes the relay's login at the carrier. Without replace it returns
// ErrExists when there is one.
func (t Tenant) WriteCarrierAccount(ctx context.Context, login *api.Client, a CarrierAccount, replace bool) error {
	account := map[string]any{fieldUsername: a.Username, fieldPassword: a.Password}
	if a.RegistrationToken != "" {
		account[fieldRegistrationToken] = a.RegistrationToken
	}
	request := map[string]any{"data": account}
	if !replace {
		request["options"] = map[string]any{"cas": 0}
	}
	_, err := login.Logical().WriteWithContext(ctx, t.path(secretCarrier), request)
	if e := (*api.ResponseError)(nil); errors.As(err, &e) && e.StatusCode == http.StatusBadRequest && !replace {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("carrier account: %w", err)
	}
	return nil
}
