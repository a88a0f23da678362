package keys_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// What the operations page says about backups of Vault: a snapshot from before a run
// of the janitor brings the version back, and the janitor's next run destroys it again.
func TestJanitorAfterARestoreOfVaultDestroysWhatCameBack(t *testing.T) {
	server, root := anotherVault(t)
	acme := newTenant(t, "acme")
	client := func(role string) *vault.Client {
		cfg := acme.config(role)
		cfg.Vault = server.Contract()
		return newClient(t, cfg)
	}
	relay, janitor := client(roleRelay), client(roleJanitor)
	identity, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "making an identity", err)
	_, err = relay.EnsureKeys(t.Context(), month)
	must(t, "making keys", err)
	_, wrapped, err := relay.DataKey(t.Context())
	must(t, "getting a data key", err)

	var snapshot bytes.Buffer
	must(t, "taking a snapshot", root.Sys().RaftSnapshotWithContext(t.Context(), &snapshot))
	const later = 31 * 24 * time.Hour
	result := janitorRun(t, janitor, 30, later)
	if result.Erased != 1 {
		t.Fatalf("result is %+v", result)
	}
	_, err = relay.Unwrap(t.Context(), wrapped)
	wantIs(t, "after the janitor", err, vault.ErrErased)

	must(t, "restoring the snapshot", root.Sys().RaftSnapshotRestoreWithContext(t.Context(), &snapshot, true))
	ready, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, "unsealing", server.Wait(ready))
	must(t, "recovering", relay.Retry(ready, func(ctx context.Context) error {
		_, err := relay.Unwrap(ctx, wrapped)
		return err
	})) // it is back: this is why the janitors run before the relays start
	again, err := relay.ReadIdentity(t.Context(), 1)
	if err != nil || !bytes.Equal(again.PrivateKey, identity.PrivateKey) {
		t.Errorf("the identity is another after the restore: %v", err)
	}
	must(t, "the janitor", janitor.Retry(ready, func(ctx context.Context) error {
		result, err = retention.Run(ctx, janitor, 30, later)
		return err
	}))
	if result.Erased != 1 {
		t.Errorf("after the restore the result is %+v", result)
	}
	_, err = relay.Unwrap(t.Context(), wrapped)
	wantIs(t, "after the restore and the janitor", err, vault.ErrErased)
}

func TestShorterRetentionTakesEffectAtTheNextRunAndALongerOneToo(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	_, wrapped, err := relay.DataKey(t.Context())
	must(t, "getting a data key", err)
	const threeDays = 72 * time.Hour
	if result := janitorRun(t, janitor, 30, threeDays); result.Erased != 0 {
		t.Fatalf("for 30 days: %+v", result)
	}
	result := janitorRun(t, janitor, 1, threeDays)
	if result.Erased != 1 || result.RetentionDays != 1 {
		t.Errorf("for 1 day: %+v", result)
	}
	_, err = relay.Unwrap(t.Context(), wrapped)
	wantIs(t, "what is older than the shorter retention", err, vault.ErrErased)
	state, err := janitor.Key(t.Context())
	must(t, "reading the key", err)
	if want := time.Hour; state.AutoRotate != want { // the least that Vault takes
		t.Errorf("the key rotates every %s, want %s", state.AutoRotate, want)
	}
	_, wrapped, err = relay.DataKey(t.Context())
	must(t, "getting a younger data key", err)
	janitorRun(t, janitor, 30, threeDays)
	if state, err = janitor.Key(t.Context()); err != nil || state.AutoRotate != 24*time.Hour {
		t.Errorf("for 30 days again: every %s, %v", state.AutoRotate, err)
	}
	_, err = relay.Unwrap(t.Context(), wrapped)
	must(t, "what is younger than the longer retention", err)
}

func TestAdminErasesATenantWhosePathsNoCounterNames(t *testing.T) {
	acme, relay := established(t, "acme")
	globex, other := established(t, "globex")
	before, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "reading the identity", err)
	_, err = relay.IdentityAfter(t.Context(), 7, before, someKey)
	must(t, "making identity 7", err)
	admin, err := vault.ForAdmin(shared.Root, shared.Vault.Contract(), acme.namespace, acme.name)
	must(t, "making the admin's client", err)
	for _, want := range []int{4, 0} { // two identities, access, carrier; then nothing
		erased, err := retention.Erase(t.Context(), admin, nil)
		must(t, "erasing", err)
		if erased.Secrets != want || erased.Receipt != contract.ReceiptWritten {
			t.Errorf("%+v, want %d secrets", erased, want)
		}
	}
	has, err := relay.HasKeys(t.Context())
	if err != nil || has {
		t.Errorf("after the erasure HasKeys says %v, %v", has, err)
	}
	for _, n := range []int{1, 7} {
		_, err = relay.ReadIdentity(t.Context(), n)
		wantIs(t, "an erased identity", err, vault.ErrNotFound)
	}
	_, err = other.ReadIdentity(t.Context(), 1)
	must(t, "the other tenant's identity of "+globex.name, err)
	_, err = globex.as(acme, roleJanitor).Secrets(t.Context())
	wantIs(t, "listing, by another tenant's janitor", err, vault.ErrDenied)
	_, err = relay.Secrets(t.Context())
	wantIs(t, "listing, by the relay", err, vault.ErrDenied)
}

func TestSucceedingIdentityTakesOverIDsAndNoKey(t *testing.T) {
	_, relay := established(t, "acme")
	first, err := relay.ReadIdentity(t.Context(), 1)
	must(t, "reading the first", err)
	second, err := relay.IdentityAfter(t.Context(), 2, first, someKey)
	must(t, "making the second", err)
	again, err := relay.IdentityAfter(t.Context(), 2, vault.Identity{}, func() ([]byte, error) {
		t.Error("a key was generated although there is an identity")
		return someKey()
	})
	must(t, "making it again", err)
	if bytes.Equal(first.PrivateKey, second.PrivateKey) || first.DeviceID == second.DeviceID {
		t.Error("key or device id are those before")
	}
	if first.StoreID != second.StoreID || first.PhoneNumberID != second.PhoneNumberID || first.BusinessAccountID != second.BusinessAccountID {
		t.Error("the ids are not those before")
	}
	if !bytes.Equal(second.PrivateKey, again.PrivateKey) || second.DeviceID != again.DeviceID {
		t.Error("the second identity changed")
	}
}
