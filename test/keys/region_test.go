package keys_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// withToken is the tenant's client in a role with a token for any audience.
func (tn *tenant) withToken(role, audience string) *vault.Client {
	tn.t.Helper()
	return newClient(tn.t, vault.Config{
		Vault: shared.Vault.Contract(), Namespace: tn.namespace, Tenant: tn.name, Role: role,
		Token: func(ctx context.Context) (string, error) {
			return shared.Kube.Token(ctx, tn.namespace, tn.name, audience)
		},
	})
}

// probe is a call that the role of an audience may make.
func probe(t *testing.T, c *vault.Client, audience string) error {
	t.Helper()
	if strings.Contains(audience, "janitor") {
		_, err := c.Key(t.Context())
		return err
	}
	_, err := c.ReadAccess(t.Context(), 1)
	return err
}

// Two regions may share a Vault, as here: even then a token of one opens no role of the
// other, and one of a region that does not exist opens none at all.
func TestTokenOfOneRegionOpensNoOtherRegionsRole(t *testing.T) {
	na := shared.Setup
	na.Region = "na"
	must(t, "setting up the other region", setup.Apply(t.Context(), shared.Root, na, nil))
	acme, _ := established(t, "acme")
	kinds := []struct{ role, audience func(string) string }{
		{contract.RoleRelay, contract.AudienceRelay},
		{contract.RoleJanitor, contract.AudienceJanitor},
		{contract.RoleCredentials, contract.AudienceCredentials},
	}
	for _, kind := range kinds {
		for _, role := range []string{"eu", "na", "zz"} {
			for _, token := range []string{"eu", "na", "zz"} {
				err := probe(t, acme.withToken(kind.role(role), kind.audience(token)), kind.audience(token))
				what := kind.role(role) + " with a token for " + kind.audience(token)
				if role == token && role != "zz" {
					must(t, what, err)
					continue
				}
				wantIs(t, what, err, vault.ErrDenied)
			}
		}
	}
}

// formerSetup has Vault as a former release set it up: there were its policies then,
// which is how setup knows.
func formerSetup(t *testing.T) {
	t.Helper()
	for _, role := range []string{contract.FormerRoleRelay, contract.FormerRoleJanitor, contract.FormerRoleCredentials} {
		must(t, "writing a policy", shared.Root.Sys().PutPolicyWithContext(t.Context(), role, `path "auth/token/revoke-self" { capabilities = ["update"] }`))
	}
	t.Cleanup(func() {
		if err := setup.RemoveFormer(context.WithoutCancel(t.Context()), shared.Root, shared.Setup, nil); err != nil {
			t.Error(err)
		}
	})
	must(t, "setting up again", setup.Apply(t.Context(), shared.Root, shared.Setup, nil))
}

func TestRolesOfFormerReleasesStandBesideTheRegionsUntilTheyAreRemoved(t *testing.T) {
	formerSetup(t)
	acme, relay := established(t, "acme")

	// Whichever role a relay has, it finds what it had.
	before := acme.withToken(contract.FormerRoleRelay, contract.FormerAudienceRelay)
	_, err := before.Identity(t.Context(), 1, someKey)
	must(t, "the identity in the former role", err)
	_, wrapped, err := before.DataKey(t.Context())
	must(t, "a data key in the former role", err)
	_, err = relay.Unwrap(t.Context(), wrapped)
	must(t, "unwrapping in the region's role", err)
	former := map[string]string{
		contract.FormerRoleRelay: contract.FormerAudienceRelay, contract.FormerRoleJanitor: contract.FormerAudienceJanitor,
		contract.FormerRoleCredentials: contract.FormerAudienceCredentials,
	}
	for role, audience := range former {
		must(t, "the former role "+role, probe(t, acme.withToken(role, audience), audience))
		wantIs(t, "the region's role "+role+" with the former token", probe(t, acme.withToken(role+"-"+region, audience), audience), vault.ErrDenied)
		wantIs(t, "the former role "+role+" with the region's token", probe(t, acme.withToken(role, audience+"/"+region), audience), vault.ErrDenied)
	}

	must(t, "removing", setup.RemoveFormer(t.Context(), shared.Root, shared.Setup, nil))
	must(t, "removing once more", setup.RemoveFormer(t.Context(), shared.Root, shared.Setup, nil))
	must(t, "setting up after that", setup.Apply(t.Context(), shared.Root, shared.Setup, nil))
	for role, audience := range former {
		wantIs(t, "the removed role "+role, probe(t, acme.withToken(role, audience), audience), vault.ErrDenied)
		must(t, "the region's role", probe(t, acme.client(role+"-"+region), audience))
	}
	policies, err := shared.Root.Sys().ListPoliciesWithContext(t.Context())
	must(t, "listing policies", err)
	for _, name := range slices.Sorted(maps.Keys(former)) {
		if slices.Contains(policies, name) {
			t.Errorf("the policy %s is there still", name)
		}
	}
}

// A janitor that a deleted relay left behind keeps its arguments, its audience and its
// configuration of then, whichever release its image is of.
func TestJanitorThatAFormerReleaseLeftBehindGoesOn(t *testing.T) {
	formerSetup(t)
	acme, _ := established(t, "acme")
	must(t, "rotating", acme.client(roleJanitor).Rotate(t.Context()))
	dir := t.TempDir()
	config, token := filepath.Join(dir, "relay.json"), filepath.Join(dir, "token")
	writeConfig(t, config, contract.Config{Namespace: acme.namespace, Name: acme.name, Vault: shared.Vault.Contract(), Carrier: carrier()})
	text, err := shared.Kube.Token(t.Context(), acme.namespace, acme.name, contract.FormerAudienceJanitor)
	must(t, "requesting a token", err)
	must(t, "writing the token", os.WriteFile(token, []byte(text), 0o600))
	binary := buildRelay(t, "testpaths")
	args := []string{"retain", "--config", config, "--region", region, "--token", token, "--termination-log", filepath.Join(dir, "message")}
	out, err := runRelay(t, binary, args...)
	if err != nil || !strings.Contains(out, `"succeeded":true`) {
		t.Errorf("the janitor of a former release: %v\n%s", err, out)
	}
	// Only a janitor accepts a configuration that says where Vault is.
	for _, command := range []string{"serve", "erase"} {
		out, err := runRelay(t, binary, command, "--config", config, "--region", region)
		if err == nil || !strings.Contains(out, "--vault-address: is missing") {
			t.Errorf("%s with a former release's arguments: %v\n%s", command, err, out)
		}
	}
}
