package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// vaultTimeout bounds one request to Vault.
const vaultTimeout = 20 * time.Second

// vaultAt returns a client of the Vault at an address, whose certificate chains to ca
// (PEM; empty means the system's CAs). It ignores the VAULT_ variables of the
// environment: a Vault that they name must not get a region's tokens.
func vaultAt(address, ca string) (*api.Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("the address of Vault must be an https:// URL: set it with --vault-address")
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the CA bundle for Vault holds no PEM certificate: set it with --vault-ca")
		}
	}
	client, err := api.NewClient(&api.Config{
		Address: "https://" + u.Host, Timeout: vaultTimeout, DisableRedirects: true,
		HttpClient: &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true, TLSHandshakeTimeout: vaultTimeout,
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the vault client: %w", err)
	}
	client.ClearToken()
	client.ClearNamespace()
	return client, nil
}

// loginVault logs in with a service account's token and returns the account's UID and a
// function that revokes the login.
func loginVault(ctx context.Context, v *api.Client, authPath, role, jwt string) (account string, logout func(), err error) {
	secret, err := v.Logical().WriteWithContext(ctx, "auth/"+authPath+"/login", map[string]any{"role": role, "jwt": jwt})
	if err != nil {
		return "", nil, fmt.Errorf("logging in to vault as role %s: %w", role, explainVault(err))
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return "", nil, fmt.Errorf("logging in to vault as role %s: the answer holds no token", role)
	}
	v.SetToken(secret.Auth.ClientToken)
	return secret.Auth.Metadata[vault.MetadataAccount], func() {
		// Best effort: the login ends by itself soon.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), vaultTimeout)
		defer cancel()
		_ = v.Auth().Token().RevokeSelfWithContext(ctx, "")
	}, nil
}

// explainVault says what Vault's error means, without the body of its answer.
func explainVault(err error) error {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return fmt.Errorf("vault cannot be reached: %w", err)
	}
	switch response.StatusCode {
	case http.StatusForbidden:
		return fmt.Errorf("%w by vault (403): check that `kubectl relay setup vault` was run for this region, and that Vault can reach its cluster", exit.ErrRefused)
	case http.StatusServiceUnavailable:
		return errors.New("vault is sealed or has no leader (503): unseal it and try again")
	case http.StatusBadRequest, http.StatusNotFound:
		return fmt.Errorf("vault answered %d: check the mount's path, and that `kubectl relay setup vault` was run for this region", response.StatusCode)
	default:
		return fmt.Errorf("vault answered %d", response.StatusCode)
	}
}

// vault returns a client for the admin's own token, reached as the vault command
// reaches it: flags, then the environment, then what the region says.
func (f *setupFlags) vault(region *v1alpha1.DataRegion) (*api.Client, error) {
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("setting up the vault client: %w", config.Error)
	}
	config.Timeout = vaultTimeout
	switch {
	case f.vaultAddress != "":
		config.Address = f.vaultAddress
	case os.Getenv(api.EnvVaultAddress) != "": // DefaultConfig has it
	case region.Spec.Vault.Address != "":
		config.Address = region.Spec.Vault.Address
	default:
		return nil, fmt.Errorf("no Vault given: name a region with --region, or Vault's address with --vault-address or $%s", api.EnvVaultAddress)
	}
	if u, err := url.Parse(config.Address); err != nil || u.Scheme != "https" {
		return nil, errors.New("the address of Vault must be an https:// URL: the token must not be sent unencrypted")
	}
	if err := f.trust(config, region); err != nil {
		return nil, err
	}
	client, err := api.NewClient(config) // takes VAULT_TOKEN and VAULT_NAMESPACE
	if err != nil {
		return nil, fmt.Errorf("setting up the vault client: %w", err)
	}
	if client.Token() == "" {
		client.SetToken(savedToken())
	}
	return client, nil
}

// trust sets the CA that Vault's certificate must chain to.
func (f *setupFlags) trust(config *api.Config, region *v1alpha1.DataRegion) error {
	settings := &api.TLSConfig{}
	switch {
	case f.vaultCA != "":
		settings.CACert = f.vaultCA
	case os.Getenv(api.EnvVaultCACert) != "", os.Getenv(api.EnvVaultCAPath) != "", os.Getenv(api.EnvVaultCACertBytes) != "":
		return nil // DefaultConfig has it
	case region.Spec.Vault.CABundle != "":
		settings.CACertBytes = []byte(region.Spec.Vault.CABundle)
	default:
		return nil
	}
	if err := config.ConfigureTLS(settings); err != nil {
		return fmt.Errorf("reading Vault's CA: %w", err)
	}
	return nil
}

// savedToken returns the token that `vault login` keeps, or none.
func savedToken() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	token, err := os.ReadFile(filepath.Join(home, ".vault-token"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(token))
}
