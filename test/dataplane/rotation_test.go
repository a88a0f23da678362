package dataplane_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/await"
)

// later runs a relay for which it is later, by its node's clock and by Vault's.
func later(d time.Duration) func(*serve.Options) {
	return func(o *serve.Options) {
		off(func() time.Duration { return d })(o)
		o.VaultOffset = func() time.Duration { return d }
	}
}

// off runs a relay whose node's clock is wrong.
func off(by func() time.Duration) func(*serve.Options) {
	return func(o *serve.Options) { o.Now = func() time.Time { return time.Now().Add(by()) } }
}

// secretAt is one of the tenant's paths in Vault's KV.
func (b *business) secretAt(name string) string { return b.Namespace + "/acme-relay/" + name }

// accessAt is where the credentials n lie: below the account's UID.
func (b *business) accessAt(n int) string {
	b.t.Helper()
	return b.secretAt(vault.AccessName(b.AccountUID(), n))
}

func TestRotatedCredentialsAreValidBesideTheFormerForADay(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	former := b.Token
	b.Stop()
	b.Config.Rotation.Access = 2
	b.Start()
	b.Wait(contract.ConditionWebhookVerified, contract.True, "FormerCredentials")
	b.WaitReady()
	b.WaitStatus(b.Say(p.Number.E164(), "by the former token"), "read") // signed by the former secret

	b.TakeCredentials()
	if b.Token == former {
		t.Fatal("the credentials are those before")
	}
	b.WaitStatus(b.Say(p.Number.E164(), "by the new token"), "read")
	b.Wait(contract.ConditionWebhookVerified, contract.True, "Verified")
	number := map[string]string{"messaging_product": "whatsapp", "to": p.Number.Digits(), "type": "unheard-of"}
	if status, _ := b.Call(former, number); status == http.StatusUnauthorized {
		t.Error("the former token is refused within its overlap")
	}
	b.Stop()
	b.Start(later(25 * time.Hour))
	b.WaitReady()
	if status, _ := b.Call(former, number); status != http.StatusUnauthorized {
		t.Errorf("a day later the former token gets %d", status)
	}
	if status, answer := b.Call(b.Token, number); status != http.StatusBadRequest {
		t.Errorf("a day later the new token gets %d %s", status, answer)
	}
}

func TestRotatedIdentityIsSeenByCustomersAndLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "hello to the first identity")
	b.WaitText("hello to the first identity")
	before := b.Report()
	b.Stop()
	p.Says(b, "written while the identity is rotated")
	b.Config.Rotation.Identity = 2
	b.StartReady()
	b.WaitText("written while the identity is rotated")
	after := b.Report()
	if after.Fingerprint == before.Fingerprint {
		t.Error("the fingerprint is the one before")
	}
	if after.DeviceID == 0 || after.DeviceID == before.DeviceID {
		t.Errorf("the device id is %d after %d", after.DeviceID, before.DeviceID)
	}
	if after.PhoneNumberID != before.PhoneNumberID || after.BusinessAccountID != before.BusinessAccountID {
		t.Error("the business's programs know it by other ids than before")
	}
	b.WaitStatus(b.Say(p.Number.E164(), "hello from the second identity"), "read")
	p.Sees("hello from the second identity")
	if !p.Has(func(e customer.Event) bool { return e.Kind == customer.Received && e.IdentityChanged }) {
		t.Error("the customer does not see that the identity changed")
	}
	p.Says(b, "hello to the second identity")
	b.WaitText("hello to the second identity")
	if n := b.Report().Counts.ForeignDevices; n != 0 {
		t.Errorf("%d foreign devices: our own former one counts", n)
	}
	b.NothingLeaked()
}

func TestRotation_LowerCounterIsRefused(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Rotation.Access = 3 // a counter may begin anywhere
	b.StartReady()
	b.Stop()
	b.Config.Rotation.Access = 2
	b.Start()
	c := b.Wait(contract.ConditionKeysReady, contract.False, "RotationCounterBack")
	if !strings.Contains(c.Message, "raise") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if _, err := shared.Root.KVv2("kv").Get(t.Context(), b.accessAt(2)); err == nil {
		t.Error("credentials were made for a counter that went back")
	}
	b.Stop()
	b.Config.Rotation.Access = 3
	b.StartReady()
}

func TestVault_VanishedSecretsAreNotMadeAgain(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{"identity/1": "IdentityMissing", "access": "CredentialsMissing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBusiness(t)
			path := b.secretAt(name)
			if name == "access" {
				path = b.accessAt(1)
			}
			b.StartReady()
			b.Stop()
			kv := shared.Root.KVv2("kv")
			kept, err := kv.Get(t.Context(), path)
			check(t, err)
			check(t, kv.DeleteMetadata(t.Context(), path))
			b.Start()
			c := b.Wait(contract.ConditionKeysReady, contract.False, reason)
			if !strings.Contains(c.Message, "backup") {
				t.Errorf("the condition does not say what to do: %s", c.Message)
			}
			if _, err := kv.Get(t.Context(), path); err == nil {
				t.Error("it was made again")
			}
			_, err = kv.Put(t.Context(), path, kept.Data)
			check(t, err)
			b.Wait(contract.ConditionKeysReady, contract.True, "")
		})
	}
}

func TestWrappingKey_VanishedIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	b.eraseKeys()
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "KeysErased")
	if secret, err := shared.Root.Logical().ReadWithContext(t.Context(), "transit/keys/"+b.Namespace+".acme-relay"); err != nil || secret != nil {
		t.Errorf("there is a key: %v, %v", secret, err)
	}
}

// eraseKeys deletes the tenant's wrapping key, as an admin may.
func (b *business) eraseKeys() {
	b.t.Helper()
	path := "transit/keys/" + b.Namespace + ".acme-relay"
	_, err := shared.Root.Logical().WriteWithContext(b.t.Context(), path+"/config", map[string]any{"deletion_allowed": true})
	check(b.t, err)
	_, err = shared.Root.Logical().DeleteWithContext(b.t.Context(), path)
	check(b.t, err)
}

func TestErasedKeys_RunningRelayForgetsThemAndMakesNone(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Start(func(o *serve.Options) { o.SweepEvery = 100 * time.Millisecond })
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	b.WaitReady()
	b.TakeCredentials()
	p := newPerson(t)
	p.Says(b, "before the erasure")
	b.WaitText("before the erasure")
	b.eraseKeys()
	b.Wait(contract.ConditionKeysReady, contract.False, "KeysErased")
	if code, _ := b.Get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", code)
	}
	sweeps := bytes.Count(b.Log.Bytes(), []byte("swept the store"))
	await.Until(t, "it is swept twice more", func() bool { return bytes.Count(b.Log.Bytes(), []byte("swept the store")) > sweeps+1 })
	b.Wait(contract.ConditionKeysReady, contract.False, "KeysErased")
	if status, _ := b.Request(http.MethodGet, "/customers/"+p.Number.Digits(), b.Token, nil); status == http.StatusOK {
		t.Error("what was stored is read still, with a key in memory")
	}
	if secret, err := shared.Root.Logical().ReadWithContext(t.Context(), "transit/keys/"+b.Namespace+".acme-relay"); err != nil || secret != nil {
		t.Errorf("there is a key again: %v, %v", secret, err)
	}
}

func TestLostVolume_RaisingTheIdentityStartsOver(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	id := b.NumberID
	b.Stop()
	check(t, os.RemoveAll(b.Volume()))
	check(t, os.Mkdir(b.Volume(), 0o700))
	b.Config.Rotation.Identity = 2
	b.StartReady()
	if b.NumberID != id {
		t.Error("the business's programs know it by another id than before")
	}
	p := newPerson(t)
	p.Says(b, "to a relay that started over")
	b.WaitText("to a relay that started over")
	b.Stop()
	b.StartReady() // and goes on
}

func TestClock_AnHourOffIsReportedAndLosesNothing(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			t.Parallel()
			b := newBusiness(t)
			b.Start(off(func() time.Duration { return by }))
			c := b.Wait(contract.ConditionKeysReady, contract.False, "ClockSkewed")
			if !strings.Contains(c.Message, "clock") {
				t.Errorf("the condition does not name the cause: %s", c.Message)
			}
			b.Wait(contract.ConditionCarrierConnected, contract.True, "")
			b.WaitReady()
			b.TakeCredentials()
			p := newPerson(t)
			p.Says(b, "is it late already?")
			b.WaitText("is it late already?")
			b.WaitStatus(b.Say(p.Number.E164(), "only by our clock"), "read")
			b.Stop()
			b.StartReady() // the clock is right again
			p.Says(b, "and now?")
			b.WaitText("and now?")
		})
	}
}

func TestClock_AJumpByAMonthLosesNothingThatIsUndelivered(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{31 * 24 * time.Hour, -31 * 24 * time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			t.Parallel()
			b := newBusiness(t)
			var jump atomic.Int64
			b.Start(off(func() time.Duration { return time.Duration(jump.Load()) }), func(o *serve.Options) { o.SweepEvery = 100 * time.Millisecond })
			b.Wait(contract.ConditionCarrierConnected, contract.True, "")
			b.WaitReady()
			b.TakeCredentials()
			p := newPerson(t)
			b.WaitStatus(b.Say(p.Number.E164(), "before the jump"), "read")
			b.SetDown(true)
			p.Says(b, "not delivered yet")
			await.Until(t, "it is stored", func() bool { return b.Report().Counts.MessagesIn == 1 })

			jump.Store(int64(by))
			sweeps := func() int { return bytes.Count(b.Log.Bytes(), []byte("swept the store")) }
			swept := sweeps()
			p.Says(b, "said meanwhile")
			await.Until(t, "it is stored, too", func() bool { return b.Report().Counts.MessagesIn == 2 })
			await.Until(t, "it is swept twice more", func() bool { return sweeps() > swept+1 })
			b.Wait(contract.ConditionKeysReady, contract.False, "ClockSkewed")
			id := b.Say(p.Number.E164(), "sent meanwhile")
			b.SetDown(false)
			b.WaitText("not delivered yet")
			b.WaitText("said meanwhile")
			b.WaitStatus(id, "read")
		})
	}
}

func TestRestoredVolume_ResetsSessionsAndSendsNothingTwice(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before the backup")
	b.WaitText("before the backup")
	b.WaitStatus(b.Say(p.Number.E164(), "answer before the backup"), "read")
	shared.prosody.Stop()
	t.Cleanup(func() { _ = shared.prosody.Start(context.Background()) })
	b.Wait(contract.ConditionCarrierConnected, contract.False, "")
	waiting := b.Say(p.Number.E164(), "waits when the backup is made")
	b.Stop()
	data, backup := b.Volume(), filepath.Join(b.Dir, "backup")
	check(t, os.CopyFS(backup, os.DirFS(data)))
	check(t, shared.prosody.Start(t.Context()))
	b.StartReady()
	b.WaitStatus(waiting, "read")
	p.Says(b, "after the backup")
	b.WaitText("after the backup")
	b.WaitStatus(b.Say(p.Number.E164(), "answer after the backup"), "read")
	b.Stop()

	check(t, os.RemoveAll(data))
	check(t, os.Rename(backup, data))
	check(t, os.WriteFile(filepath.Join(data, "restored"), nil, 0o600)) // as the operations page says
	b.StartReady()
	b.WaitStatus(waiting, "failed")
	b.WaitStatus(b.Say(p.Number.E164(), "after the restore"), "read")
	p.Says(b, "welcome back")
	b.WaitText("welcome back")
	for _, text := range []string{"answer before the backup", "waits when the backup is made", "answer after the backup", "after the restore"} {
		if n := p.Sees(text); n != 1 {
			t.Errorf("the customer saw %q %d times", text, n)
		}
	}
	b.Stop()
	b.StartReady() // it does not count as restored again
	b.WaitStatus(b.Say(p.Number.E164(), "in the same session"), "read")
}

// Each step may be the last before a crash: here Vault holds what is new and the store
// does not know, and then the store knows and the carrier does not.
func TestRotation_InterruptedIsFinishedByTheNextStart(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before")
	b.WaitText("before")
	b.Stop()
	kv := shared.Root.KVv2("kv")
	first, err := kv.Get(t.Context(), b.secretAt("identity/1"))
	check(t, err)
	pair, err := signal.GenerateIdentityKeyPair()
	check(t, err)
	key, err := pair.MarshalBinary()
	check(t, err)
	first.Data["privateKey"], first.Data["deviceID"] = base64.StdEncoding.EncodeToString(key), 4711
	_, err = kv.Put(t.Context(), b.secretAt("identity/2"), first.Data)
	check(t, err)
	_, err = kv.Put(t.Context(), b.secretAt("access/2"), map[string]any{"accessToken": "t", "webhookSecret": "s", "verifyToken": "v"})
	check(t, err)

	b.Config.Rotation = contract.Rotation{Identity: 2, Access: 2}
	shared.prosody.Stop()
	t.Cleanup(func() { _ = shared.prosody.Start(context.Background()) })
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	b.Stop() // the carrier never learned
	check(t, shared.prosody.Start(t.Context()))
	p.Says(b, "to the former identity, which is all that the carrier knows")
	b.StartReady()
	b.WaitText("to the former identity, which is all that the carrier knows")
	if got := b.Report().Fingerprint; got != pair.Public().Fingerprint() {
		t.Errorf("the fingerprint is %s, not that of the identity that Vault held", got)
	}
	if b.Token != "t" {
		t.Error("the credentials are not those that Vault held")
	}
	b.WaitStatus(b.Say(p.Number.E164(), "from the new identity"), "read")
	p.Says(b, "to the new identity")
	b.WaitText("to the new identity")
}
