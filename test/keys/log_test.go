package keys_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/relaykeep/relaykeep/relay/vault"
)

func TestLog_IsSignedByItsOwnRelayAlone(t *testing.T) {
	acme, relay := established(t, "acme")
	key, err := relay.LogKey(t.Context())
	must(t, "making the log's key", err)
	again, err := relay.LogKey(t.Context())
	must(t, "reading it", err)
	text := []byte("a checkpoint\n")
	signature, err := relay.SignLog(t.Context(), text)
	must(t, "signing", err)
	if !key.Equal(again) || !ed25519.Verify(key, text, signature) {
		t.Error("the signature is not the log key's")
	}
	attacker := newTenant(t, "globex").as(acme, roleRelay)
	_, err = attacker.SignLog(t.Context(), text)
	wantIs(t, "another relay signs", err, vault.ErrDenied)
	for _, role := range []string{roleJanitor, roleCredentials} {
		_, err = acme.client(role).SignLog(t.Context(), text)
		wantIs(t, role+" signs", err, vault.ErrDenied)
	}
	must(t, "erasing", acme.client(roleJanitor).DeleteKeys(t.Context()))
	_, err = relay.SignLog(t.Context(), text)
	wantIs(t, "signing after the erasure", err, vault.ErrNotFound)
}
