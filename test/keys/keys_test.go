// Package keys_test proves what Vault, as `kubectl relay setup vault` leaves it,
// grants to whom: with a real Vault, and a real Kubernetes API server that issues
// and reviews the tokens of service accounts. Every refusal has a twin: the rightful
// owner's same call, which succeeds.
package keys_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/rig"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// shared is the Vault and the API server of all tests of this package; each test has
// tenants of its own.
var shared *rig.House

func TestMain(m *testing.M) {
	os.Exit(rig.Main(func(_ context.Context, h *rig.House) (int, error) {
		shared = h
		return m.Run(), nil
	}))
}

// anotherVault runs a Vault of the test's own, set up for the shared API server's
// accounts, until the test ends.
func anotherVault(t *testing.T) (server *vaulttest.Server, root *api.Client) {
	t.Helper()
	server = vaulttest.StartT(t, vaulttest.Options{})
	root, err := server.Root()
	must(t, "logging in as root", err)
	must(t, "setting up", setup.Apply(t.Context(), root, shared.Setup, nil))
	return server, root
}

// tenant is one business's namespace with its relay's account.
type tenant struct {
	t         *testing.T
	namespace string
	name      string
}

// newTenant makes a namespace whose name begins with the given word and an account
// in it.
func newTenant(t *testing.T, word string) *tenant {
	t.Helper()
	namespace, account := shared.NewTenant(t, word)
	return &tenant{t: t, namespace: namespace, name: account}
}

// region is the DataRegion whose Vault the house has.
const region = rig.Region

// The roles of that region's Vault.
var (
	roleRelay       = contract.RoleRelay(region)
	roleJanitor     = contract.RoleJanitor(region)
	roleCredentials = contract.RoleCredentials(region)
	roleKeeper      = contract.RoleKeeper(region)
)

var audiences = map[string]string{
	roleRelay:       contract.AudienceRelay(region),
	roleJanitor:     contract.AudienceJanitor(region),
	roleCredentials: contract.AudienceCredentials(region),
	roleKeeper:      contract.AudienceKeeper(region),

	contract.FormerRoleRelay:       contract.FormerAudienceRelay,
	contract.FormerRoleJanitor:     contract.FormerAudienceJanitor,
	contract.FormerRoleCredentials: contract.FormerAudienceCredentials,
}

// config is how a pod of the tenant is configured in a role, with its token in a
// file as the kubelet puts it there.
func (tn *tenant) config(role string) vault.Config {
	tn.t.Helper()
	token, err := shared.Kube.Token(tn.t.Context(), tn.namespace, tn.name, audiences[role])
	if err != nil {
		tn.t.Fatal(err)
	}
	path := filepath.Join(tn.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		tn.t.Fatal(err)
	}
	return vault.Config{
		Vault: shared.Vault.Contract(), Namespace: tn.namespace, Tenant: tn.name, Role: role, TokenPath: path,
	}
}

func (tn *tenant) client(role string) *vault.Client {
	tn.t.Helper()
	return newClient(tn.t, tn.config(role))
}

// as is the tenant's client in a role that asks for another tenant's paths: what a
// captured relay would try.
func (tn *tenant) as(victim *tenant, role string) *vault.Client {
	tn.t.Helper()
	cfg := tn.config(role)
	cfg.Namespace, cfg.Tenant = victim.namespace, victim.name
	return newClient(tn.t, cfg)
}

func newClient(t *testing.T, cfg vault.Config) *vault.Client {
	t.Helper()
	c, err := vault.New(cfg)
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return c
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error is %v, want %v", what, err, target)
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
