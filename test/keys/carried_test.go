package keys_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/vault"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// at is the tenant's client in a role of another Vault.
func (tn *tenant) at(server *vaulttest.Server, role string) *vault.Client {
	tn.t.Helper()
	cfg := tn.config(role)
	cfg.Vault = server.Contract()
	return newClient(tn.t, cfg)
}

const day = 24 * time.Hour

// A data key that was ten days old in the old region dies in the new one when it would have died.
func TestCarriedKey_DiesWhenItWouldHaveDiedInItsOldRegion(t *testing.T) {
	t.Parallel()
	acme, relay := established(t, "acme")
	plain, wrapped, err := relay.DataKey(t.Context())
	must(t, "getting a data key", err)
	_, err = vaulttest.AgeKey(t.Context(), shared.Root, acme.namespace+"."+acme.name, 10*day)
	must(t, "making the key older", err)
	state, err := relay.EnsureKeys(t.Context(), month)
	must(t, "looking at the key", err)
	since, known := vault.WrappedSince(wrapped, state)
	if age := time.Since(since); !known || age < 10*day || age > 10*day+time.Hour {
		t.Fatalf("the data key counts as %s old", age)
	}

	server, _ := anotherVault(t)
	there, janitor := acme.at(server, roleRelay), acme.at(server, roleJanitor)
	_, err = there.EnsureKeys(t.Context(), month)
	must(t, "making keys", err)
	carried, err := there.CarryDataKey(t.Context(), plain, since, 7)
	must(t, "carrying the data key", err)
	again, err := there.CarryDataKey(t.Context(), plain, since, 7)
	must(t, "carrying it again", err)
	if again != carried {
		t.Error("carried again, it is stored twice")
	}
	if later, known := vault.WrappedSince(carried, state); !known || !later.Equal(since) {
		t.Errorf("carried on, it would count since %s and not since %s", later, since)
	}
	_, fresh, err := there.DataKey(t.Context())
	must(t, "getting a data key of the new region", err)
	opens := func(when string) {
		t.Helper()
		got, err := there.Unwrap(t.Context(), carried)
		must(t, when, err)
		if !bytes.Equal(got, plain) {
			t.Errorf("%s it opens as another key", when)
		}
	}
	run := func(later time.Duration) contract.RetentionResult {
		t.Helper()
		result, err := retention.Run(t.Context(), janitor, 30, later)
		must(t, "running the janitor", err)
		return result
	}
	opens("at once")
	if result := run(20*day - 2*time.Hour); result.Erased != 0 || !result.OldestKeyTime.Equal(since) {
		t.Errorf("before its time the janitor says %+v", result)
	}
	opens("before its time")
	if result := run(20 * day); result.Erased != 1 || result.OldestKeyTime.Equal(since) {
		t.Errorf("at its time the janitor says %+v", result)
	}
	_, err = there.Unwrap(t.Context(), carried)
	wantIs(t, "opening it after its time", err, seal.ErrErased)
	_, err = there.Unwrap(t.Context(), fresh)
	must(t, "opening a key of the new region then", err)
	_, err = there.Unwrap(t.Context(), vault.CarriedErased(8))
	wantIs(t, "opening one that was erased before", err, seal.ErrErased)
}

// Who may allow a move, and who may do what with what was carried. Each refusal has a twin.
func TestMove_IsAllowedByAnAdminAlone(t *testing.T) {
	t.Parallel()
	acme, relay := established(t, "acme")
	globex := newTenant(t, "globex")
	admin, err := vault.ForAdmin(shared.Root, shared.Vault.Contract(), acme.namespace, acme.name)
	must(t, "making an admin's client", err)
	for name, allow := range map[string]func(context.Context, *vault.Client) error{
		"departure": func(ctx context.Context, c *vault.Client) error { return c.AllowDeparture(ctx, "token", "key") },
		"arrival": func(ctx context.Context, c *vault.Client) error {
			return c.AllowArrival(ctx, vault.Arrival{Token: "token"})
		},
		"key": func(ctx context.Context, c *vault.Client) error { _, err := c.PrepareArrival(ctx); return err },
		"end": func(ctx context.Context, c *vault.Client) error { return c.EndArrival(ctx) },
	} {
		for who, c := range map[string]*vault.Client{
			"relay": relay, "janitor": acme.client(roleJanitor), "another's relay": globex.as(acme, roleRelay),
		} {
			if who == "janitor" && name == "end" { // it may delete secrets, as in an erasure; the key it cannot
				continue
			}
			wantIs(t, name+" by the "+who, allow(t.Context(), c), vault.ErrDenied)
		}
		must(t, name+" by an admin", allow(t.Context(), admin))
	}
	must(t, "allowing it", admin.AllowArrival(t.Context(), vault.Arrival{Token: "token"}))
	_, err = relay.Arrival(t.Context())
	must(t, "reading it by the relay", err)
	_, err = acme.client(roleJanitor).Arrival(t.Context())
	wantIs(t, "reading it by the janitor", err, vault.ErrDenied)
	_, err = globex.as(acme, roleRelay).Arrival(t.Context())
	wantIs(t, "reading it by another's relay", err, vault.ErrDenied)

	carried, err := relay.CarryDataKey(t.Context(), make([]byte, seal.KeySize), time.Now(), 1)
	must(t, "carrying a key by the relay", err)
	for who, c := range map[string]*vault.Client{"janitor": acme.client(roleJanitor), "another's relay": globex.as(acme, roleRelay)} {
		_, err = c.Unwrap(t.Context(), carried)
		wantIs(t, "opening it by the "+who, err, vault.ErrDenied)
		_, err = c.CarryDataKey(t.Context(), make([]byte, seal.KeySize), time.Now(), 2)
		wantIs(t, "carrying one by the "+who, err, vault.ErrDenied)
	}
	keys, err := acme.client(roleJanitor).Carried(t.Context())
	must(t, "listing by the janitor", err)
	if len(keys) != 1 {
		t.Fatalf("the janitor sees %d keys", len(keys))
	}
	wantIs(t, "destroying it by the relay", relay.DropCarried(t.Context(), keys[0]), vault.ErrDenied)
	wantIs(t, "destroying it by another's relay", globex.as(acme, roleRelay).DropCarried(t.Context(), keys[0]), vault.ErrDenied)
	must(t, "destroying it by the janitor", acme.client(roleJanitor).DropCarried(t.Context(), keys[0]))

	may, err := admin.MayMove(t.Context(), roleRelay)
	must(t, "reading the policy", err)
	if !may {
		t.Error("the region's policy counts as one of an earlier release")
	}
	may, err = admin.MayMove(t.Context(), roleJanitor)
	must(t, "reading another policy", err)
	if may {
		t.Error("a policy without moves counts as one with them")
	}
}
