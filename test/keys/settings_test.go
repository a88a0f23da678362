package keys_test

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// atFirst wraps as relays did whose settings key lay among the wrapping keys.
type atFirst struct{ tn *tenant }

func (a atFirst) key() string { return a.tn.namespace + "." + a.tn.name + "-settings" }

func (a atFirst) DataKey(ctx context.Context) ([]byte, string, error) {
	answer, err := shared.Root.Logical().WriteWithContext(ctx, "transit/datakey/plaintext/"+a.key(), map[string]any{"bits": 256})
	if err != nil {
		return nil, "", err
	}
	wrapped, _ := answer.Data["ciphertext"].(string)
	text, _ := answer.Data["plaintext"].(string)
	plain, err := base64.StdEncoding.DecodeString(text)
	return plain, wrapped, err
}

func (a atFirst) Unwrap(context.Context, string) ([]byte, error) { return nil, seal.ErrErased }

// A volume of a former release: its settings move to the key in the mount of its own,
// and need the former key no more.
func TestSettingsOfAFormerReleaseMoveToTheirOwnMount(t *testing.T) {
	acme, relay := established(t, "acme")
	former := atFirst{acme}
	_, err := shared.Root.Logical().WriteWithContext(t.Context(), "transit/keys/"+former.key(), map[string]any{"type": "aes256-gcm96"})
	must(t, "making the former settings key", err)
	identity, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "reading the identity", err)
	dir := t.TempDir()
	open := func(settings seal.Wrapper) *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), dir, identity.StoreID, seal.New(relay, seal.Period(month), time.Now), store.SettingsKey(settings))
		must(t, "opening the store", err)
		return s
	}
	s := open(former)
	must(t, "storing", s.Update(t.Context(), func(tx *store.Tx) error { return tx.PutSetting("kept", []byte("by the business")) }))
	must(t, "closing", s.Close())
	must(t, "moving", open(relay.Settings()).Close())

	_, err = shared.Root.Logical().WriteWithContext(t.Context(), "transit/keys/"+former.key()+"/config", map[string]any{"deletion_allowed": true})
	must(t, "letting the former key be deleted", err)
	_, err = shared.Root.Logical().DeleteWithContext(t.Context(), "transit/keys/"+former.key())
	must(t, "deleting the former key", err)
	s = open(relay.Settings())
	defer s.Close()
	must(t, "reading", s.View(t.Context(), func(tx *store.Tx) error {
		kept, err := tx.Setting("kept")
		if string(kept) != "by the business" {
			t.Errorf("what the business wants kept is %q", kept)
		}
		return err
	}))
}

// The former place can be read once more, and nothing new is made there.
func TestRelayMakesNoSettingsKeyAmongWrappingKeys(t *testing.T) {
	acme, _ := established(t, "acme")
	relay := login(t, acme, roleRelay)
	for _, path := range []string{"transit/keys/", "transit/datakey/plaintext/", "transit/encrypt/"} {
		if status := try(t, relay, "PUT", path+atFirst{acme}.key()); status != 403 {
			t.Errorf("%s answers %d", path, status)
		}
	}
	key, err := shared.Root.Logical().ReadWithContext(t.Context(), "transit/keys/"+atFirst{acme}.key())
	if must(t, "looking", err); key != nil {
		t.Error("there is a settings key among the wrapping keys")
	}
}

func TestErasureTakesASettingsKeyInEitherPlace(t *testing.T) {
	acme, relay := established(t, "acme")
	_, err := shared.Root.Logical().WriteWithContext(t.Context(), "transit/keys/"+atFirst{acme}.key(), nil)
	must(t, "making the former settings key", err)
	_, err = retention.Erase(t.Context(), acme.client(roleJanitor), nil)
	must(t, "erasing", err)
	key, err := shared.Root.Logical().ReadWithContext(t.Context(), "transit/keys/"+atFirst{acme}.key())
	if must(t, "looking", err); key != nil {
		t.Error("the settings key in the former place is left")
	}
	_, _, err = relay.Settings().DataKey(t.Context())
	wantIs(t, "the settings key", err, vault.ErrNotFound)
}

// Erasure takes as many calls as there is to erase, whatever the counters say.
func TestErasureListsWhatThereIsInsteadOfCounting(t *testing.T) {
	acme, _ := established(t, "acme")
	for _, name := range []string{"identity/1000000", "access/999999", "planted/below/a/path"} {
		_, err := shared.Root.KVv2("kv").Put(t.Context(), acme.namespace+"/"+acme.name+"/"+name, map[string]any{"a": "b"})
		must(t, "planting", err)
	}
	calls := &counted{}
	cfg := acme.config(roleJanitor)
	cfg.Observer = calls
	erased, err := retention.Erase(t.Context(), newClient(t, cfg), nil)
	must(t, "erasing", err)
	if erased.Secrets != 6 || calls.n > 45 {
		t.Errorf("%d secrets went in %d calls", erased.Secrets, calls.n)
	}
	left, err := shared.Root.Logical().ListWithContext(t.Context(), "kv/metadata/"+acme.namespace+"/"+acme.name)
	if must(t, "looking", err); left != nil {
		t.Errorf("left are %v", left.Data["keys"])
	}
}

// counted counts calls to Vault, made one after another.
type counted struct{ n int }

func (c *counted) VaultCall(string, string, time.Duration) { c.n++ }
