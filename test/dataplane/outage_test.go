package dataplane_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
)

// seal seals Vault and has it unsealed again at the test's end at the latest.
func seal(t *testing.T) (unseal func()) {
	t.Helper()
	unseal = func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		check(t, shared.vault.Wait(ctx))
	}
	t.Cleanup(unseal)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, shared.vault.Seal(ctx))
	return unseal
}

func TestSealedVault_StartingRelayWaitsAndContinues(t *testing.T) {
	b := newBusiness(t)
	unseal := seal(t)
	b.start()
	c := b.wait(contract.ConditionKeysReady, contract.False, "VaultSealed")
	if !strings.Contains(c.Message, "unseal") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if code, body := b.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d %s", code, body)
	}
	if code, _ := b.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d: a restart would not help", code)
	}
	unseal()
	for _, kind := range []string{contract.ConditionKeysReady, contract.ConditionCarrierConnected, contract.ConditionWebhookVerified} {
		b.wait(kind, contract.True, "")
	}
	if code, body := b.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s", code, body)
	}
}

func TestSealedVault_RunningRelayContinues(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	unseal := seal(t)
	b.wait(contract.ConditionKeysReady, contract.False, "VaultSealed")
	p.says(b, "is this kept while Vault is sealed?")
	b.waitText("is this kept while Vault is sealed?")
	b.waitStatus(b.say(p.number.E164(), "it is"), "read")
	if code, body := b.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s, though the keys are in memory", code, body)
	}
	unseal()
	b.wait(contract.ConditionKeysReady, contract.True, "")
}

func TestCarrierOutage_RelayKeepsMessagesAndContinues(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "hello")
	b.waitText("hello")
	shared.prosody.Stop()
	t.Cleanup(func() { _ = shared.prosody.Start(context.Background()) })
	b.wait(contract.ConditionCarrierConnected, contract.False, "")
	id := b.say(p.number.E164(), "written while the carrier was away")
	eventually(t, "the message is queued", func() bool { return b.report().Counts.OutboxQueued >= 1 })
	check(t, shared.prosody.Start(t.Context()))
	b.wait(contract.ConditionCarrierConnected, contract.True, "")
	b.waitStatus(id, "read")
	if n := p.sees("written while the carrier was away"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	p.says(b, "welcome back")
	b.waitText("welcome back")
	b.nothingLeaked()
}

func TestReceiver_DownGetsEverythingWhenItReturns(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	b.setDown(true)
	for _, text := range []string{"one", "two", "three", "four"} {
		p.says(b, text+" of four while the receiver is down")
	}
	c := b.wait(contract.ConditionWebhookVerified, contract.False, "")
	if c.Message == "" {
		t.Error("the condition does not say what to do")
	}
	eventually(t, "the webhooks are queued", func() bool { return b.report().Counts.WebhookQueued >= 4 })
	b.setDown(false)
	for _, text := range []string{"one", "two", "three", "four"} {
		b.waitText(text + " of four while the receiver is down")
	}
	b.wait(contract.ConditionWebhookVerified, contract.True, "")
}

func TestReceiver_UnverifiedGetsNothing(t *testing.T) {
	b := newBusiness(t)
	b.verify = "another token than the relay has"
	b.start()
	b.wait(contract.ConditionWebhookVerified, contract.False, "ChallengeFailed")
	b.wait(contract.ConditionCarrierConnected, contract.True, "")
	p := newPerson(t)
	p.says(b, "kept until the receiver is verified")
	eventually(t, "the webhook's job is queued", func() bool { return b.report().Counts.WebhookQueued == 1 })
	if got := b.updates(); len(got) != 0 {
		t.Errorf("an unverified receiver got %d webhooks", len(got))
	}
	b.takeCredentials() // the right token
	b.wait(contract.ConditionWebhookVerified, contract.True, "")
	b.waitText("kept until the receiver is verified")
}

func TestLostVolume_IsReportedAndNotReplaced(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	b.stop()
	data, kept := filepath.Join(b.dir, "data"), filepath.Join(b.dir, "kept")
	check(t, os.Rename(data, kept))
	check(t, os.Mkdir(data, 0o700))
	b.start()
	b.wait(contract.ConditionKeysReady, contract.False, "StoreMissing")
	if entries, err := os.ReadDir(data); err != nil || len(entries) > 0 {
		t.Errorf("a new store was begun: %v %v", entries, err)
	}
	check(t, os.Remove(data))
	check(t, os.Rename(kept, data)) // the volume is back
	b.wait(contract.ConditionKeysReady, contract.True, "")
}

func TestVolume_OfAnotherIdentityIsRefused(t *testing.T) {
	b, other := newBusiness(t), newBusiness(t)
	b.startReady()
	b.stop()
	other.startReady()
	other.stop()
	own := other.dir
	other.dir = b.dir
	other.start()
	other.wait(contract.ConditionKeysReady, contract.False, "StoreForeign")
	other.stop()
	other.dir = own
	other.startReady()
}

// age makes the first version of the relay's wrapping key older, which Vault does
// only for who restores a backup of the key that says so.
func (b *business) age(by time.Duration) {
	b.t.Helper()
	ctx, name := b.t.Context(), b.namespace+".acme-relay"
	write := func(path string, data map[string]any) map[string]any {
		b.t.Helper()
		answer, err := shared.root.Logical().WriteWithContext(ctx, path, data)
		check(b.t, err)
		if answer == nil {
			return nil
		}
		return answer.Data
	}
	write("transit/keys/"+name+"/config", map[string]any{"exportable": true, "allow_plaintext_backup": true, "deletion_allowed": true})
	backup, err := shared.root.Logical().ReadWithContext(ctx, "transit/backup/"+name)
	check(b.t, err)
	text, _ := backup.Data["backup"].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	check(b.t, err)
	var key map[string]any
	check(b.t, json.Unmarshal(raw, &key))
	policy, _ := key["policy"].(map[string]any)
	versions, _ := policy["keys"].(map[string]any)
	first, _ := versions["1"].(map[string]any)
	created := time.Now().Add(-by)
	first["time"], first["creation_time"] = created.Format(time.RFC3339Nano), created.Unix()
	raw, err = json.Marshal(key)
	check(b.t, err)
	_, err = shared.root.Logical().DeleteWithContext(ctx, "transit/keys/"+name)
	check(b.t, err)
	write("transit/restore/"+name, map[string]any{"backup": base64.StdEncoding.EncodeToString(raw)})
}

func TestRelay_RefusesToStartWhileAKeyIsOverdue(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	b.stop()
	b.age(29 * 24 * time.Hour)
	b.startReady() // not overdue yet
	b.stop()
	b.age(31 * 24 * time.Hour)
	b.start()
	c := b.wait(contract.ConditionKeysReady, contract.False, "KeyOverdue")
	if !strings.Contains(c.Message, "CronJob") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if code, body := b.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d %s", code, body)
	}
}
