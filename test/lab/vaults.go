package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/lab/process"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// Vault prepares a region's Vault and returns it. Its process is the lab's: use
// Stop and Start, and the server's own Seal and Unseal.
func (l *Lab) Vault(ctx context.Context, r *Region) (*vault.Server, error) {
	if err := l.openAuthority(); err != nil {
		return nil, err
	}
	chain, key, ca, err := l.certificate(vaultProcess(r), l.address)
	if err != nil {
		return nil, err
	}
	return vault.Prepare(ctx, l.VaultData(r), vault.Options{
		Address: l.at(r.vaultPort), TLS: &vault.Certificate{Chain: chain, Key: key, CA: ca},
	})
}

// VaultData is the folder of everything that a region's Vault writes.
func (l *Lab) VaultData(r *Region) string { return filepath.Join(l.dir, vaultProcess(r)) }

func (l *Lab) startVaults(ctx context.Context) (string, error) {
	var evidence strings.Builder
	for _, r := range regions() {
		s, err := l.Vault(ctx, r)
		if err != nil {
			return "", err
		}
		cmd := s.Command()
		err = l.keeper.Start(ctx, process.Spec{
			Name: vaultProcess(r), Path: cmd.Path, Args: cmd.Args[1:], Dir: cmd.Dir, Env: cmd.Env, Log: s.LogFile,
		})
		if err != nil {
			return "", err
		}
		if err := waitWith(ctx, s.Wait); err != nil {
			return "", err
		}
		fmt.Fprintf(&evidence, "%s, unsealed\n", s.Address())
	}
	return evidence.String(), nil
}

// VaultLogin logs in at a region's Vault with a service account's token, in the
// relays' role.
func (l *Lab) VaultLogin(ctx context.Context, r *Region, token string) (*api.Client, error) {
	return l.VaultLoginAs(ctx, r, contract.RoleRelay(r.Name), token)
}

// WrappingKey is the name of a business's key in transit.
func (b *Business) WrappingKey() string { return b.Name + "." + b.Tenant() }

// SettingsKey is the mount and the name of the key of what a business itself wants kept.
func (b *Business) SettingsKey() string { return "transit-settings/" + b.WrappingKey() }

// Unwrap asks Vault to open a wrapped data key with a business's wrapping key, and
// returns the status of Vault's answer, 200 when it did. The data key is dropped.
func Unwrap(ctx context.Context, c *api.Client, b *Business, wrapped string) (status int, err error) {
	_, err = c.Logical().WriteWithContext(ctx, "transit/decrypt/"+b.WrappingKey(), map[string]any{"ciphertext": wrapped})
	return answered(err)
}

// ReadIdentity asks Vault for a business's identity, and returns the status of
// Vault's answer. The identity is dropped.
func ReadIdentity(ctx context.Context, c *api.Client, b *Business) (status int, err error) {
	_, err = c.Logical().ReadWithContext(ctx, fmt.Sprintf("kv/data/%s/%s/identity/1", b.Name, b.Tenant()))
	return answered(err)
}

// answered turns an answer of Vault's, whether it granted or refused, into a status;
// no answer at all remains an error.
func answered(err error) (int, error) {
	var refusal *api.ResponseError
	switch {
	case err == nil:
		return http.StatusOK, nil
	case errors.As(err, &refusal):
		return refusal.StatusCode, nil
	default:
		return 0, fmt.Errorf("asking Vault: %w", err)
	}
}

// setUpVaults prepares each region's Vault for relays, as its admin would.
func (l *Lab) setUpVaults(ctx context.Context) (string, error) {
	var evidence strings.Builder
	for _, r := range regions() {
		out, err := l.SetUpVault(ctx, r)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&evidence, "$ kubectl relay setup vault --region %s\n%s\n", r.Name, tail(out, 1))
	}
	return evidence.String(), nil
}
