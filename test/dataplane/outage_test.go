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
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/await"
)

// seal seals Vault and has it unsealed again at the test's end at the latest.
func seal(t *testing.T) (unseal func()) {
	t.Helper()
	unseal = func() {
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		check(t, shared.Vault.Wait(ctx))
	}
	t.Cleanup(unseal)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	check(t, shared.Vault.Seal(ctx))
	return unseal
}

func TestSealedVault_StartingRelayWaitsAndContinues(t *testing.T) {
	b := newBusiness(t)
	unseal := seal(t)
	b.Start()
	c := b.Wait(contract.ConditionKeysReady, contract.False, "VaultSealed")
	if !strings.Contains(c.Message, "unseal") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if code, body := b.Get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d %s", code, body)
	}
	if code, _ := b.Get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d: a restart would not help", code)
	}
	unseal()
	b.WaitWell()
	if code, body := b.Get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s", code, body)
	}
}

func TestSealedVault_RunningRelayContinues(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	unseal := seal(t)
	b.Wait(contract.ConditionKeysReady, contract.False, "VaultSealed")
	p.Says(b, "is this kept while Vault is sealed?")
	b.WaitText("is this kept while Vault is sealed?")
	b.WaitStatus(b.Say(p.Number.E164(), "it is"), "read")
	if code, body := b.Get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s, though the keys are in memory", code, body)
	}
	unseal()
	b.Wait(contract.ConditionKeysReady, contract.True, "")
}

func TestCarrierOutage_RelayKeepsMessagesAndContinues(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "hello")
	b.WaitText("hello")
	shared.prosody.Stop()
	t.Cleanup(func() { _ = shared.prosody.Start(context.Background()) })
	b.Wait(contract.ConditionCarrierConnected, contract.False, "")
	id := b.Say(p.Number.E164(), "written while the carrier was away")
	await.Until(t, "the message is queued", func() bool { return b.Report().Counts.OutboxQueued >= 1 })
	if online, _ := b.gauge("relaykeep_carrier_state", "Online"); online != 0 {
		t.Error("the metrics say that the link is up")
	}
	await.Until(t, "the metrics say that the message waits", func() bool {
		age, _ := b.gauge("relaykeep_queue_oldest_age_seconds", "outbox")
		return age > 0
	})
	check(t, shared.prosody.Start(t.Context()))
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	if online, _ := b.gauge("relaykeep_carrier_state", "Online"); online != 1 {
		t.Error("the metrics say that the link is not up")
	}
	b.WaitStatus(id, "read")
	if n := p.Sees("written while the carrier was away"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	p.Says(b, "welcome back")
	b.WaitText("welcome back")
	b.NothingLeaked()
}

func TestReceiver_DownGetsEverythingWhenItReturns(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	b.SetDown(true)
	for _, text := range []string{"one", "two", "three", "four"} {
		p.Says(b, text+" of four while the receiver is down")
	}
	c := b.Wait(contract.ConditionWebhookVerified, contract.False, "")
	if c.Message == "" {
		t.Error("the condition does not say what to do")
	}
	await.Until(t, "the webhooks are queued", func() bool { return b.Report().Counts.WebhookQueued >= 4 })
	b.SetDown(false)
	for _, text := range []string{"one", "two", "three", "four"} {
		b.WaitText(text + " of four while the receiver is down")
	}
	b.Wait(contract.ConditionWebhookVerified, contract.True, "")
}

func TestReceiver_UnverifiedGetsNothing(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Expect(vault.Access{VerifyToken: "another token than the relay has"})
	b.Start()
	b.Wait(contract.ConditionWebhookVerified, contract.False, "ChallengeFailed")
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	p := newPerson(t)
	p.Says(b, "kept until the receiver is verified")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued == 1 })
	if got := b.Updates(); len(got) != 0 {
		t.Errorf("an unverified receiver got %d webhooks", len(got))
	}
	b.TakeCredentials() // the right token
	b.Wait(contract.ConditionWebhookVerified, contract.True, "")
	b.WaitText("kept until the receiver is verified")
}

func TestLostVolume_IsReportedAndNotReplaced(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	data, kept := b.Volume(), filepath.Join(b.Dir, "kept")
	check(t, os.Rename(data, kept))
	check(t, os.Mkdir(data, 0o700))
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "StoreMissing")
	if entries, err := os.ReadDir(data); err != nil || len(entries) > 0 {
		t.Errorf("a new store was begun: %v %v", entries, err)
	}
	check(t, os.Remove(data))
	check(t, os.Rename(kept, data)) // the volume is back
	b.Wait(contract.ConditionKeysReady, contract.True, "")
}

func TestVolume_OfAnotherIdentityIsRefused(t *testing.T) {
	t.Parallel()
	b, other := newBusiness(t), newBusiness(t)
	b.StartReady()
	b.Stop()
	other.StartReady()
	other.Stop()
	own := other.Dir
	other.Dir = b.Dir
	other.Start()
	other.Wait(contract.ConditionKeysReady, contract.False, "StoreForeign")
	other.Stop()
	other.Dir = own
	other.StartReady()
}

// age makes the first version of the relay's wrapping key older, which Vault does
// only for who restores a backup of the key that says so.
func (b *business) age(by time.Duration) {
	b.t.Helper()
	ctx, name := b.t.Context(), b.Namespace+".acme-relay"
	write := func(path string, data map[string]any) map[string]any {
		b.t.Helper()
		answer, err := shared.Root.Logical().WriteWithContext(ctx, path, data)
		check(b.t, err)
		if answer == nil {
			return nil
		}
		return answer.Data
	}
	write("transit/keys/"+name+"/config", map[string]any{"exportable": true, "allow_plaintext_backup": true, "deletion_allowed": true})
	backup, err := shared.Root.Logical().ReadWithContext(ctx, "transit/backup/"+name)
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
	_, err = shared.Root.Logical().DeleteWithContext(ctx, "transit/keys/"+name)
	check(b.t, err)
	write("transit/restore/"+name, map[string]any{"backup": base64.StdEncoding.EncodeToString(raw)})
}

func TestRelay_RefusesToStartWhileAKeyIsOverdue(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	b.age(29 * 24 * time.Hour)
	b.StartReady() // not overdue yet
	b.Stop()
	b.age(31 * 24 * time.Hour)
	b.Start()
	c := b.Wait(contract.ConditionKeysReady, contract.False, "KeyOverdue")
	if !strings.Contains(c.Message, "CronJob") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if code, body := b.Get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d %s", code, body)
	}
}
