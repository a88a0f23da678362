package serve

import (
	"context"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

func TestDatabaseLogin_LastOneCountsWhileVaultHasNone(t *testing.T) {
	var login vault.DatabaseLogin
	fails := vault.ErrSealed
	d := &databaseLogin{read: func(context.Context) (vault.DatabaseLogin, error) { return login, fails }}
	want := func(role string, want error) {
		t.Helper()
		if got, _, err := d.get(t.Context()); got != role || !errors.Is(err, want) {
			t.Errorf("the role is %q (%v), want %q (%v)", got, err, role, want)
		}
	}
	want("", vault.ErrSealed)
	fails = vault.ErrNotFound
	want("", errLoginMissing)
	login, fails = vault.DatabaseLogin{Role: "acme", Password: "one"}, nil
	want("acme", nil)
	login, fails = vault.DatabaseLogin{}, vault.ErrSealed
	want("acme", nil)
	login, fails = vault.DatabaseLogin{Role: "acme2", Password: "two"}, nil
	want("acme2", nil)
}

func TestEveryErrorOfAServer_HasAReasonOfItsOwn(t *testing.T) {
	for _, err := range []error{
		store.ErrFenced, store.ErrUncertain, store.ErrRolledBack, store.ErrUnreachable, store.ErrDenied, store.ErrCertificate, store.ErrTooOld, store.ErrEncoding,
		store.ErrStandby, store.ErrBusy, store.ErrRights, store.ErrForeignStore, store.ErrStoreMissing, store.ErrLocked, store.ErrNewer,
		store.ErrMoved, store.ErrNotEmpty, store.ErrCopy,
	} {
		if reason, message := explain(err); reason == ReasonStoreUnusable || message == "" {
			t.Errorf("%v is %s: %s", err, reason, message)
		}
	}
}
