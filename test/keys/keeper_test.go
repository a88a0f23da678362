package keys_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// theKeeper is the account of the region's keeper, in the operator's namespace.
func theKeeper(t *testing.T) *tenant {
	t.Helper()
	_, err := shared.Kube.Kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: setup.DefaultOperatorNamespace}}, metav1.CreateOptions{})
	must(t, "making the operator's namespace", ignoreExists(err))
	name := contract.KeeperName(region)
	must(t, "making the keeper's account", ignoreExists(shared.Kube.AddServiceAccount(t.Context(), setup.DefaultOperatorNamespace, name)))
	return &tenant{t: t, namespace: setup.DefaultOperatorNamespace, name: name}
}

func (tn *tenant) keeper() *vault.Keeper {
	tn.t.Helper()
	k, err := vault.NewKeeper(tn.config(roleKeeper))
	must(tn.t, "making the keeper's client", err)
	return k
}

// Everything that a deleted tenant's relay ever wrapped is unreadable after 30 days, even
// if nothing is left of it in the cluster: no namespace, no account, no janitor.
func TestKeeperLetsTheKeysOfAGoneTenantDie(t *testing.T) {
	gone, relay := established(t, "gone")
	_, wrapped, err := relay.DataKey(t.Context())
	must(t, "a data key", err)
	_, settings, err := relay.Settings().DataKey(t.Context())
	must(t, "a settings' data key", err)
	key := gone.namespace + "." + gone.name
	former := atFirst{gone}
	_, err = shared.Root.Logical().WriteWithContext(t.Context(), "transit/keys/"+former.key(), nil)
	must(t, "a settings key in its former place", err)
	for _, name := range []string{key, former.key(), "transit-settings/" + key} {
		_, err = vaulttest.AgeKey(t.Context(), shared.Root, name, 31*24*time.Hour)
		must(t, "making the key older", err)
	}
	live, liveRelay := established(t, "live")
	_, young, err := liveRelay.DataKey(t.Context())
	must(t, "a young data key", err)
	must(t, "deleting the namespace", shared.Kube.Kube.CoreV1().Namespaces().Delete(t.Context(), gone.namespace, metav1.DeleteOptions{}))
	_, err = shared.Root.Logical().WriteWithContext(t.Context(), "transit/keys/not-a-relays", nil)
	must(t, "a key of somebody else's", err)

	result, err := retention.Keep(t.Context(), retention.RegionAt(theKeeper(t).keeper()), retention.DefaultLimits(), 0, nil)
	must(t, "keeping", err)
	if !result.Succeeded || result.Keys < 2 || result.Looked != result.Keys || result.Erased < 1 || result.Others < 2 {
		t.Errorf("the result is %+v", result)
	}
	answer := func(mount, name, wrapped string) error {
		_, err := shared.Root.Logical().WriteWithContext(t.Context(), mount+"/decrypt/"+name, map[string]any{"ciphertext": wrapped})
		return err
	}
	if answer("transit", key, wrapped) == nil {
		t.Error("root opens what the gone relay wrapped")
	}
	must(t, "the live relay's data key", answer("transit", live.namespace+"."+live.name, young))
	must(t, "the settings", answer("transit-settings", key, settings[len("settings:"):]))
	state, err := shared.Root.Logical().ReadWithContext(t.Context(), "transit/keys/"+former.key())
	if must(t, "reading the former settings key", err); state == nil || state.Data["latest_version"].(json.Number) != "1" || state.Data["min_available_version"].(json.Number) != "0" {
		t.Error("a settings key in its former place was touched")
	}
	again, err := retention.Keep(t.Context(), retention.RegionAt(theKeeper(t).keeper()), retention.DefaultLimits(), 0, nil)
	if must(t, "keeping again", err); again.Erased != 0 {
		t.Errorf("a second run destroyed %d versions", again.Erased)
	}
}

// What a keeper's login can do: these paths and no other.
func TestKeepersLoginOpensWrappingKeysAndNothingElse(t *testing.T) {
	acme, relay := established(t, "acme")
	_, _, err := relay.DataKey(t.Context())
	must(t, "a data key", err)
	c := login(t, theKeeper(t), roleKeeper)
	key, own := acme.namespace+"."+acme.name, acme.namespace+"/"+acme.name
	for _, attack := range []struct{ method, path string }{
		{"PUT", "transit/decrypt/" + key},
		{"PUT", "transit/datakey/plaintext/" + key},
		{"PUT", "transit/encrypt/" + key},
		{"PUT", "transit/rewrap/" + key},
		{"PUT", "transit/keys/" + key},
		{"PUT", "transit/keys/" + key + "-other"},
		{"DELETE", "transit/keys/" + key},
		{"GET", "transit/export/encryption-key/" + key},
		{"GET", "transit/backup/" + key},
		{"PUT", "transit/restore/" + key},
		{"LIST", "transit-settings/keys"},
		{"GET", "transit-settings/keys/" + key},
		{"PUT", "transit-settings/keys/" + key + "/trim"},
		{"PUT", "transit-settings/keys/" + key + "/rotate"},
		{"PUT", "transit-settings/keys/" + key + "/config"},
		{"PUT", "transit-settings/decrypt/" + key},
		{"LIST", "kv/metadata"},
		{"LIST", "kv/metadata/" + own},
		{"GET", "kv/data/" + own + "/identity/1"},
		{"DELETE", "kv/metadata/" + own + "/identity/1"},
		{"PUT", "kv/data/" + own + "/planted"},
		{"PUT", "pki/sign/" + roleRelay},
		{"PUT", "auth/token/create"},
		{"GET", "sys/mounts"},
		{"PUT", "sys/policies/acl/" + roleKeeper},
	} {
		if status := try(t, c, attack.method, attack.path); status != http.StatusForbidden {
			t.Errorf("%s %s answers %d", attack.method, attack.path, status)
		}
	}
	for name, data := range map[string]map[string]any{
		"deletion": {"deletion_allowed": true}, "export": {"exportable": true}, "rotation": {"auto_rotate_period": "0"},
	} {
		if _, err := c.Logical().WriteWithContext(t.Context(), "transit/keys/"+key+"/config", data); err == nil {
			t.Errorf("the keeper may change a key's %s", name)
		}
	}
	for _, twin := range []struct{ method, path string }{
		{"LIST", "transit/keys"}, {"GET", "transit/keys/" + key}, {"PUT", "transit/keys/" + key + "/rotate"},
	} {
		if status := try(t, c, twin.method, twin.path); status != http.StatusOK && status != http.StatusNoContent {
			t.Errorf("%s %s answers %d", twin.method, twin.path, status)
		}
	}
}

// Nobody else's account becomes the keeper, and the keeper becomes nobody else.
func TestKeeperRole_IsForTheOperatorsKeeperOnly(t *testing.T) {
	acme, _ := established(t, "acme")
	must(t, "making an account", shared.Kube.AddServiceAccount(t.Context(), acme.namespace, contract.KeeperName(region)))
	keeper := theKeeper(t)
	must(t, "making an account", ignoreExists(shared.Kube.AddServiceAccount(t.Context(), keeper.namespace, "other")))
	for what, thief := range map[string]*tenant{
		"a relay":                                 acme,
		"an account of that name elsewhere":       {t: t, namespace: acme.namespace, name: keeper.name},
		"another account of the operator's":       {t: t, namespace: keeper.namespace, name: "other"},
		"the keeper, with its janitor's audience": nil,
	} {
		cfg := keeper.config(roleJanitor)
		if thief != nil {
			cfg = thief.config(roleKeeper)
		}
		cfg.Role = roleKeeper
		k, err := vault.NewKeeper(cfg)
		must(t, "making a client", err)
		_, _, err = k.WrappingKeys(t.Context())
		wantIs(t, what, err, vault.ErrDenied)
	}
	for _, role := range []string{roleRelay, roleJanitor, roleCredentials} {
		cfg := keeper.config(role)
		_, _, err := newClient(t, cfg).DataKey(t.Context())
		wantIs(t, "the keeper as "+role, err, vault.ErrDenied)
	}
	_, _, err := keeper.keeper().WrappingKeys(t.Context())
	must(t, "the keeper itself", err)
}

func TestKeepCommand(t *testing.T) {
	_, _ = established(t, "acme")
	binary := buildRelay(t, "testpaths")
	message := filepath.Join(t.TempDir(), "message")
	keeper := theKeeper(t)
	args := append([]string{"keep", "--region", region, "--token", keeper.config(roleKeeper).TokenPath, "--termination-log", message},
		shared.Vault.Contract().Arguments()...)
	out, err := runRelay(t, binary, args...)
	must(t, "keep: "+out, err)
	read := func() (result contract.KeeperResult) {
		report, err := os.ReadFile(message)
		must(t, "reading the termination message", err)
		must(t, "parsing the termination message", json.Unmarshal(report, &result))
		return result
	}
	if result := read(); !result.Succeeded || result.Keys < 1 || result.Left != 0 {
		t.Errorf("result is %+v", result)
	}
	out, err = runRelay(t, binary, "keep", "--termination-log", message)
	if result := read(); err == nil || result.Succeeded || result.Reason != "InvalidConfiguration" {
		t.Errorf("without a region: %v, %+v, %s", err, result, out)
	}
}
