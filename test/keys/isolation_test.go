package keys_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// established makes a tenant that has all that a relay makes.
func established(t *testing.T, word string) (*tenant, *vault.Client) {
	t.Helper()
	tn := newTenant(t, word)
	relay := tn.client(roleRelay)
	_, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "making an identity", err)
	_, err = relay.Access(t.Context(), 1)
	must(t, "making credentials", err)
	number, err := phone.Parse("+15550001111")
	must(t, "parsing", err)
	_, err = relay.CarrierAccount(t.Context(), number)
	must(t, "making a carrier account", err)
	_, err = relay.EnsureKeys(t.Context(), month)
	must(t, "making keys", err)
	return tn, relay
}

// use is everything that a relay does to what it made.
func use(c *vault.Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"identity":        func(ctx context.Context) error { _, err := c.Identity(ctx, 1, someKey); return err },
		"access":          func(ctx context.Context) error { _, err := c.Access(ctx, 1); return err },
		"carrier account": func(ctx context.Context) error { _, err := c.CarrierAccount(ctx, phone.Number{}); return err },
		"keys":            func(ctx context.Context) error { _, err := c.EnsureKeys(ctx, month); return err },
		"data key":        func(ctx context.Context) error { _, _, err := c.DataKey(ctx); return err },
		"settings key":    func(ctx context.Context) error { _, _, err := c.Settings().DataKey(ctx); return err },
		"log key":         func(ctx context.Context) error { _, err := c.LogKey(ctx); return err },
	}
}

func TestRelay_OfAnotherTenantIsRefused(t *testing.T) {
	globex, owner := established(t, "globex")
	acme := newTenant(t, "acme")
	attacker := acme.as(globex, roleRelay)
	_, wrapped, err := owner.DataKey(t.Context())
	must(t, "the owner's data key", err)
	_, settings, err := owner.Settings().DataKey(t.Context())
	must(t, "the owner's settings key", err)
	attacks, twins := use(attacker), use(owner)
	attacks["unwrap"] = func(ctx context.Context) error { _, err := attacker.Unwrap(ctx, wrapped); return err }
	twins["unwrap"] = func(ctx context.Context) error { _, err := owner.Unwrap(ctx, wrapped); return err }
	attacks["unwrap settings"] = func(ctx context.Context) error { _, err := attacker.Settings().Unwrap(ctx, settings); return err }
	twins["unwrap settings"] = func(ctx context.Context) error { _, err := owner.Settings().Unwrap(ctx, settings); return err }
	for name, attack := range attacks {
		wantIs(t, "the other tenant: "+name, attack(t.Context()), vault.ErrDenied)
		must(t, "the owner: "+name, twins[name](t.Context()))
	}
	// With its own wrapping key another's wrapped key opens to nothing.
	_, own := established(t, "initech")
	_, err = own.Unwrap(t.Context(), wrapped)
	wantIs(t, "unwrapping another's key with one's own", err, vault.ErrErased)
}

func TestJanitor_OfAnotherTenantIsRefused(t *testing.T) {
	globex, _ := established(t, "globex")
	attacker := newTenant(t, "acme").as(globex, roleJanitor)
	owner := globex.client(roleJanitor)
	steps := []struct {
		name string
		do   func(*vault.Client) error
	}{
		{"read the key", func(c *vault.Client) error { _, err := c.Key(t.Context()); return err }},
		{"rotate", func(c *vault.Client) error { return c.Rotate(t.Context()) }},
		{"set the rotation", func(c *vault.Client) error { return c.SetRotation(t.Context(), 7*24*time.Hour) }},
		{"set the minimum", func(c *vault.Client) error { return c.SetMinimum(t.Context(), 2, 2) }},
		{"trim", func(c *vault.Client) error { return c.Trim(t.Context(), 2) }},
		{"delete the keys", func(c *vault.Client) error { return c.DeleteKeys(t.Context()) }},
		{"delete the identity", func(c *vault.Client) error { return c.DeleteSecret(t.Context(), "identity/1") }},
		{"delete the credentials", func(c *vault.Client) error { return c.DeleteSecret(t.Context(), "access/1") }},
		{"delete the carrier account", func(c *vault.Client) error { return c.DeleteSecret(t.Context(), "carrier") }},
	}
	for _, step := range steps {
		wantIs(t, "the other tenant: "+step.name, step.do(attacker), vault.ErrDenied)
		must(t, "the owner: "+step.name, step.do(owner))
	}
}

func TestRelayCanDestroyNothingAndJanitorCanReadNothing(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	_, wrapped, err := relay.DataKey(t.Context())
	must(t, "the relay's data key", err)

	for name, attack := range map[string]error{
		"read the key":       func() error { _, err := relay.Key(t.Context()); return err }(),
		"rotate":             relay.Rotate(t.Context()),
		"set the minimum":    relay.SetMinimum(t.Context(), 1, 1),
		"set the rotation":   relay.SetRotation(t.Context(), month),
		"trim":               relay.Trim(t.Context(), 1),
		"delete the keys":    relay.DeleteKeys(t.Context()),
		"delete an identity": relay.DeleteSecret(t.Context(), "identity/1"),
	} {
		wantIs(t, "the relay: "+name, attack, vault.ErrDenied)
	}
	for name, attack := range use(janitor) {
		wantIs(t, "the janitor: "+name, attack(t.Context()), vault.ErrDenied)
	}
	_, err = janitor.Unwrap(t.Context(), wrapped)
	wantIs(t, "the janitor: unwrap", err, vault.ErrDenied)

	// The twins.
	_, err = relay.Unwrap(t.Context(), wrapped)
	must(t, "the relay: unwrap", err)
	_, err = janitor.Key(t.Context())
	must(t, "the janitor: read the key", err)
	must(t, "the janitor: rotate", janitor.Rotate(t.Context()))
}

func TestTokenOfOneAudienceOpensNoOtherRole(t *testing.T) {
	acme, _ := established(t, "acme")
	roles := []string{roleRelay, roleJanitor, roleCredentials}
	for _, audience := range roles {
		for _, role := range roles {
			cfg := acme.config(audience)
			cfg.Role = role
			c := newClient(t, cfg)
			_, err := c.ReadAccess(t.Context(), 1)
			switch {
			case audience != role:
				wantIs(t, "role "+role+" with the token for "+audience, err, vault.ErrDenied)
			case role == roleJanitor: // its twin is to read the key
				_, err := c.Key(t.Context())
				must(t, "the janitor with its own token", err)
			default:
				must(t, "role "+role+" with its own token", err)
			}
		}
	}
}

func TestLogin_IsForAccountsOfRelaysOnly(t *testing.T) {
	acme, _ := established(t, "acme")
	must(t, "making an account", shared.Kube.AddServiceAccount(t.Context(), acme.namespace, "web"))
	for _, name := range []string{"web", "default"} {
		intruder := &tenant{t: t, namespace: acme.namespace, name: name}
		if name == "default" {
			must(t, "making an account", ignoreExists(shared.Kube.AddServiceAccount(t.Context(), acme.namespace, name)))
		}
		_, err := intruder.as(acme, roleRelay).Access(t.Context(), 1)
		wantIs(t, "the account "+name, err, vault.ErrDenied)
	}
	_, err := acme.client(roleRelay).Access(t.Context(), 1)
	must(t, "the relay's account", err)
}

// A relay's own token, used by hand, opens none of Vault's other doors.
func TestRelaysTokenOpensNoOtherPath(t *testing.T) {
	acme, _ := established(t, "acme")
	c := login(t, acme, roleRelay)
	own := acme.namespace + "/" + acme.name
	key := acme.namespace + "." + acme.name
	for _, attack := range []struct{ method, path string }{
		{"LIST", "kv/metadata"},
		{"LIST", "kv/metadata/" + acme.namespace},
		{"LIST", "kv/metadata/" + own},
		{"GET", "kv/metadata/" + own + "/identity/1"},
		{"DELETE", "kv/data/" + own + "/identity/1"},
		{"PUT", "kv/destroy/" + own + "/identity/1"},
		{"PUT", "kv/undelete/" + own + "/identity/1"},
		{"GET", "kv/config"},
		{"PUT", "kv/data/" + own + "/identity/1"},
		{"LIST", "transit/keys"},
		{"GET", "transit/keys/" + key},
		{"DELETE", "transit/keys/" + key},
		{"GET", "transit/export/encryption-key/" + key},
		{"GET", "transit/backup/" + key},
		{"PUT", "transit/restore/" + key},
		{"PUT", "transit/rewrap/" + key},
		{"PUT", "transit/encrypt/another." + acme.name},
		{"PUT", "transit/keys/" + key + "/config"},
		{"PUT", "transit/keys/" + key + "/rotate"},
		{"PUT", "transit/keys/" + key + "/trim"},
		{"PUT", "transit/keys/another"},
		{"GET", "sys/mounts"},
		{"GET", "sys/policies/acl/relaykeep-relay-eu"},
		{"PUT", "sys/policies/acl/relaykeep-relay-eu"},
		{"PUT", "sys/seal"},
		{"GET", "sys/storage/raft/snapshot"},
		{"PUT", "auth/token/create"},
		{"PUT", "auth/kubernetes/role/relaykeep-relay-eu"},
		{"PUT", "identity/entity"},
		{"PUT", "pki/issue/relaykeep-relay-eu"},
		{"PUT", "pki/sign-verbatim"},
		{"PUT", "pki/root/sign-intermediate"},
	} {
		if status := try(t, c, attack.method, attack.path); status != http.StatusForbidden {
			t.Errorf("%s %s answers %d", attack.method, attack.path, status)
		}
	}
	if status := try(t, c, "GET", "kv/data/"+own+"/identity/1"); status != http.StatusOK {
		t.Errorf("its own identity answers %d", status)
	}
}

// login logs in by hand.
func login(t *testing.T, tn *tenant, role string) *api.Client {
	t.Helper()
	jwt, err := shared.Kube.Token(t.Context(), tn.namespace, tn.name, audiences[role])
	must(t, "requesting a token", err)
	c, err := shared.Vault.Client("")
	must(t, "making a client", err)
	answer, err := c.Logical().WriteWithContext(t.Context(), "auth/kubernetes/login", map[string]any{"role": role, "jwt": jwt})
	must(t, "logging in", err)
	c.SetToken(answer.Auth.ClientToken)
	return c
}

// try sends a request and returns the status.
func try(t *testing.T, c *api.Client, method, path string) int {
	t.Helper()
	r := c.NewRequest(method, "/v1/"+path)
	if method == http.MethodPut {
		must(t, "encoding", r.SetJSONBody(map[string]any{"data": map[string]any{}, "versions": []int{1}}))
	}
	//nolint:staticcheck // the raw status is what counts here
	resp, err := c.RawRequestWithContext(t.Context(), r)
	if answer, ok := errors.AsType[*api.ResponseError](err); ok {
		return answer.StatusCode
	}
	must(t, "requesting", err)
	defer resp.Body.Close()
	return resp.StatusCode
}
