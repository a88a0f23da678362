package vault_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/relaykeep/relaykeep/relay/vault"
)

// After an upgrade the policies of the former release are in force until an admin sets Vault up again. That the log is not signed
// until then must not look as if the relay could not use Vault: KeysReady would be False each time that it tries.
func TestLogKey_RefusedByAFormerReleasesPoliciesLeavesVaultUsable(t *testing.T) {
	f := newFixture(t)
	if err := f.dataKey(t); err != nil {
		t.Fatal(err)
	}
	f.answers(func(w http.ResponseWriter, _ *http.Request, _ int) { refuse(w, http.StatusForbidden) })
	_, err := f.client.LogKey(t.Context())
	_, signErr := f.client.SignLog(t.Context(), []byte("a checkpoint"))
	if !errors.Is(err, vault.ErrDenied) || !errors.Is(signErr, vault.ErrDenied) {
		t.Errorf("the key: %v, signing: %v", err, signErr)
	}
	if err := f.client.Ready(); err != nil || f.loginCount() != 1 {
		t.Errorf("afterwards Vault is usable: %v, after %d logins", err, f.loginCount())
	}
}
