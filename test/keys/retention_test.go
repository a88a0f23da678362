package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// janitorRun runs the janitor as if that much time had passed.
func janitorRun(t *testing.T, c *vault.Client, days int, later time.Duration) contract.RetentionResult {
	t.Helper()
	result, err := retention.Run(t.Context(), c, days, later)
	must(t, "running the janitor", err)
	return result
}

func TestJanitorOfARelayThatNeverStartedHasNothingToDo(t *testing.T) {
	result := janitorRun(t, newTenant(t, "acme").client(roleJanitor), 30, 0)
	if !result.Succeeded || result.Reason != "NoKey" {
		t.Errorf("result is %+v", result)
	}
}

func TestJanitor_LeavesOnlyYoungVersionsToUnwrap(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	_, old, err := relay.DataKey(t.Context())
	must(t, "getting an old data key", err)

	// Versions two seconds apart, and a clock that stands exactly between their ends.
	state, err := janitor.Key(t.Context())
	must(t, "reading the key", err)
	waitUntil(t, state.Latest().Created.Add(2*time.Second))
	must(t, "rotating", janitor.Rotate(t.Context()))
	_, young, err := relay.DataKey(t.Context())
	must(t, "getting a young data key", err)

	now, err := janitor.Now(t.Context())
	must(t, "asking for the time", err)
	end := state.Latest().Created.Add(month)
	result := janitorRun(t, janitor, 30, end.Sub(now)-retention.Interval)
	if result.Erased != 1 || result.OldestVersion != 2 || result.LatestVersion != 2 {
		t.Fatalf("result is %+v", result)
	}
	_, err = relay.Unwrap(t.Context(), old)
	wantIs(t, "the relay, of the old key", err, vault.ErrErased)
	_, err = shared.Root.Logical().WriteWithContext(t.Context(), "transit/decrypt/"+acme.namespace+"."+acme.name, map[string]any{"ciphertext": old})
	if err == nil {
		t.Error("root unwraps the old key")
	}
	_, err = relay.Unwrap(t.Context(), young)
	must(t, "the relay, of the young key", err)

	result = janitorRun(t, janitor, 30, 0)
	if result.Erased != 0 || result.OldestVersion != 2 {
		t.Errorf("the next run's result is %+v", result)
	}
	result = janitorRun(t, janitor, 30, 40*24*time.Hour)
	if result.LatestVersion != 3 || result.OldestVersion != 3 || result.Erased != 1 {
		t.Errorf("40 days later, with the latest version due: %+v", result)
	}
	_, err = relay.Unwrap(t.Context(), young)
	wantIs(t, "the young key 40 days later", err, vault.ErrErased)
	_, _, err = relay.DataKey(t.Context())
	must(t, "a new data key", err)
}

// waitUntil lets the wall clock pass, for Vault's times have whole seconds.
func waitUntil(t *testing.T, at time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(at)):
	case <-t.Context().Done():
	}
}

func TestInterruptedJanitorIsFinishedByTheNext(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	_, wrapped, err := relay.DataKey(t.Context())
	must(t, "getting a data key", err)
	for range 3 {
		must(t, "rotating", janitor.Rotate(t.Context()))
	}
	must(t, "the first of the two steps", janitor.SetMinimum(t.Context(), 3, 4))
	result := janitorRun(t, janitor, 30, 0)
	if result.Erased != 2 || result.OldestVersion != 3 {
		t.Errorf("result is %+v", result)
	}
	_, err = relay.Unwrap(t.Context(), wrapped)
	wantIs(t, "a version that was refused and then destroyed", err, vault.ErrErased)
	state, err := janitor.Key(t.Context())
	must(t, "reading the key", err)
	if state.MinAvailable != 3 {
		t.Errorf("versions from %d are there", state.MinAvailable)
	}
}

func TestJanitorsAtOnceAreHarmless(t *testing.T) {
	acme, relay := established(t, "acme")
	for range 4 {
		must(t, "rotating", acme.client(roleJanitor).Rotate(t.Context()))
	}
	var group sync.WaitGroup
	for range 4 {
		c := acme.client(roleJanitor)
		group.Go(func() {
			if result, err := retention.Run(t.Context(), c, 30, 31*24*time.Hour); err != nil {
				t.Errorf("one of several: %v, %+v", err, result)
			}
		})
	}
	group.Wait()
	state, err := acme.client(roleJanitor).Key(t.Context())
	must(t, "reading the key", err)
	if state.MinAvailable != state.MinDecryption || state.Oldest().Version < 6 {
		t.Errorf("the key ends as %+v", state)
	}
	_, _, err = relay.DataKey(t.Context())
	must(t, "a data key after it", err)
}

func TestJanitorReassertsTheRotation(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	_, err := shared.Root.Logical().WriteWithContext(t.Context(),
		"transit/keys/"+acme.namespace+"."+acme.name+"/config", map[string]any{"auto_rotate_period": "0"})
	must(t, "stopping the rotation", err)
	janitorRun(t, janitor, 30, 0)
	state, err := relay.EnsureKeys(t.Context(), month)
	must(t, "reading the key", err)
	if state.AutoRotate != 24*time.Hour {
		t.Errorf("the key rotates every %s", state.AutoRotate)
	}
}

func TestErasureLeavesNothingAndTheTenantBeginsAnew(t *testing.T) {
	acme, relay := established(t, "acme")
	before, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "reading the identity", err)
	_, wrapped, err := relay.DataKey(t.Context())
	must(t, "getting a data key", err)
	janitor := acme.client(roleJanitor)
	for range 2 { // the second time there is nothing
		_, err := retention.Erase(t.Context(), janitor, nil)
		must(t, "erasing", err)
	}
	has, err := relay.HasKeys(t.Context())
	if err != nil || has {
		t.Errorf("after the erasure HasKeys says %v, %v", has, err)
	}
	_, err = relay.Unwrap(t.Context(), wrapped)
	wantIs(t, "unwrapping without the key", err, vault.ErrNotFound)
	_, err = acme.client(roleCredentials).ReadAccess(t.Context(), 1)
	wantIs(t, "the credentials", err, vault.ErrNotFound)
	after, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "starting over", err)
	if before.StoreID == after.StoreID {
		t.Error("the identity is the old one")
	}
	_, err = relay.EnsureKeys(t.Context(), month)
	must(t, "making keys again", err)
	_, err = relay.Unwrap(t.Context(), wrapped)
	wantIs(t, "unwrapping with a new key of the same name", err, vault.ErrErased)
}

// The whole of it: what a relay stored is readable, and after the janitor it is not,
// to the relay itself with its own login, in a copy of its volume.
func TestStoredMessageDiesWithItsKeyVersion(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	identity, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "reading the identity", err)
	dir, stolen := t.TempDir(), t.TempDir()
	open := func(dir string) (*store.Store, *seal.Keyring) {
		t.Helper()
		keys := seal.New(relay, seal.Period(month), time.Now)
		s, err := store.Open(t.Context(), dir, identity.StoreID, keys, store.SettingsKey(relay.Settings()))
		must(t, "opening the store", err)
		t.Cleanup(func() { _ = s.Close() })
		return s, keys
	}
	s, _ := open(dir)
	id := store.NewMessageID()
	number, err := phone.Parse("+15550001112")
	must(t, "parsing", err)
	must(t, "storing", s.Update(t.Context(), func(tx *store.Tx) error {
		c := store.Customer{Number: number}
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
		return errors.Join(tx.PutSetting("kept", []byte("by the business")), tx.PutMessage(store.Message{
			ID: id, Direction: store.Inbound, Customer: c.ID, Type: "text", Body: []byte(id), State: "received", Created: time.Now(),
		}))
	}))
	must(t, "closing", s.Close())
	must(t, "stealing the volume", os.CopyFS(stolen, os.DirFS(dir)))

	read := func(dir string) string {
		s, _ := open(dir)
		defer s.Close()
		var m store.Message
		must(t, "reading", s.View(t.Context(), func(tx *store.Tx) (err error) {
			if kept, err := tx.Setting("kept"); err != nil || string(kept) != "by the business" {
				t.Errorf("what the business wants kept is %q, %v", kept, err)
			}
			m, err = tx.Message(id)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return err
		}))
		return string(m.Body)
	}
	again := t.TempDir()
	must(t, "copying", os.CopyFS(again, os.DirFS(stolen)))
	if read(again) != id {
		t.Fatal("before the janitor the copy cannot be read")
	}
	janitorRun(t, janitor, 30, 31*24*time.Hour)
	if read(stolen) != "" || read(dir) != "" {
		t.Error("after the janitor it can be read still")
	}
}

func TestClientRecoversFromASealAndARestartByItself(t *testing.T) {
	server, _ := anotherVault(t)
	acme := newTenant(t, "acme")
	cfg := acme.config(roleRelay)
	cfg.Vault = server.Contract()
	c := newClient(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = c.Run(ctx) })
	defer group.Wait()
	defer cancel()
	_, err := c.EnsureKeys(t.Context(), month)
	must(t, "making keys", err)

	for name, c2 := range map[string]struct {
		harm, mend func() error
		is         error
	}{
		"sealed":  {func() error { return server.Seal(t.Context()) }, func() error { return server.Wait(t.Context()) }, vault.ErrSealed},
		"stopped": {func() error { server.Stop(); return nil }, func() error { return server.Start(t.Context()) }, vault.ErrUnavailable},
	} {
		must(t, name, c2.harm())
		_, _, err := c.DataKey(t.Context())
		wantIs(t, name, err, c2.is)
		wantIs(t, name+", ready", c.Ready(), c2.is)
		must(t, "mending", c2.mend())
		deadline, stop := context.WithTimeout(t.Context(), time.Minute)
		must(t, "after being "+name, c.Retry(deadline, func(ctx context.Context) error {
			_, _, err := c.DataKey(ctx)
			return err
		}))
		stop()
		must(t, "ready after being "+name, c.Ready())
	}
}

func carrier() contract.Carrier {
	return contract.Carrier{XMPP: &contract.XMPP{Domain: "relay.test", Registration: "Open"}}
}

// writeConfig writes a tenant's configuration with what every tenant has.
func writeConfig(t *testing.T, path string, c contract.Config) {
	t.Helper()
	c.Version, c.Region, c.PhoneNumber = contract.ConfigVersion, region, "+15550001111"
	c.Endpoint = contract.Endpoint{URL: "https://acme.relay.test", Host: "acme.relay.test", TLS: contract.TLSFromPKI}
	c.RetentionDays, c.Trust, c.Throughput, c.Rotation = 30, "blind", 80, contract.Rotation{Identity: 1, Access: 1}
	text, err := json.Marshal(c)
	must(t, "rendering the configuration", err)
	must(t, "writing the configuration", os.WriteFile(path, text, 0o600))
}

func TestRetainAndEraseCommands(t *testing.T) {
	acme, relay := established(t, "acme")
	binary := buildRelay(t, "testpaths")
	dir := t.TempDir()
	config, token, message := filepath.Join(dir, "relay.json"), acme.config(roleJanitor).TokenPath, filepath.Join(dir, "message")
	writeConfig(t, config, contract.Config{Namespace: acme.namespace, Name: acme.name})
	vaultArgs, carrierArgs := shared.Vault.Contract().Arguments(), carrier().XMPP.Arguments()

	out, err := runRelay(t, binary, append([]string{"retain", "--config", config, "--region", region, "--token", token, "--termination-log", message}, vaultArgs...)...)
	must(t, "retain: "+out, err)
	var result contract.RetentionResult
	report, err := os.ReadFile(message)
	must(t, "reading the termination message", err)
	must(t, "parsing the termination message", json.Unmarshal(report, &result))
	if !result.Succeeded || result.LatestVersion != 1 || result.RetentionDays != 30 || result.OldestKeyTime == nil {
		t.Errorf("result is %+v", result)
	}

	out, err = runRelay(t, binary, "retain", "--config", filepath.Join(dir, "none"), "--token", token, "--termination-log", message)
	report, _ = os.ReadFile(message)
	must(t, "parsing the termination message", json.Unmarshal(report, &result))
	if err == nil || result.Succeeded || result.Reason != "InvalidConfiguration" {
		t.Errorf("without a configuration: %v, %+v, %s", err, result, out)
	}

	out, err = runRelay(t, binary, append(append([]string{"erase", "--config", config, "--region", region, "--token", token}, vaultArgs...), carrierArgs...)...)
	must(t, "erase: "+out, err)
	if has, err := relay.HasKeys(t.Context()); err != nil || has {
		t.Errorf("after erase HasKeys says %v, %v", has, err)
	}
}
