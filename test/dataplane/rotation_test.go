package dataplane_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/signal"
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
func (b *business) secretAt(name string) string { return b.namespace + "/acme-relay/" + name }

// accessAt is where the credentials n lie: below the account's UID.
func (b *business) accessAt(n int) string {
	b.t.Helper()
	account, err := shared.kube.Kube.CoreV1().ServiceAccounts(b.namespace).Get(b.t.Context(), "acme-relay", metav1.GetOptions{})
	check(b.t, err)
	return b.secretAt("access/" + string(account.UID) + "/" + strconv.Itoa(n))
}

func TestRotatedCredentialsAreValidBesideTheFormerForADay(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	former := b.token
	b.stop()
	b.config.Rotation.Access = 2
	b.start()
	b.wait(contract.ConditionWebhookVerified, contract.True, "FormerCredentials")
	b.ready()
	b.waitStatus(b.say(p.number.E164(), "by the former token"), "read") // signed by the former secret

	b.takeCredentials()
	if b.token == former {
		t.Fatal("the credentials are those before")
	}
	b.waitStatus(b.say(p.number.E164(), "by the new token"), "read")
	b.wait(contract.ConditionWebhookVerified, contract.True, "Verified")
	number := map[string]string{"messaging_product": "whatsapp", "to": p.number.Digits(), "type": "unheard-of"}
	if status, _ := b.call(former, number); status == http.StatusUnauthorized {
		t.Error("the former token is refused within its overlap")
	}
	b.stop()
	b.start(later(25 * time.Hour))
	b.ready()
	if status, _ := b.call(former, number); status != http.StatusUnauthorized {
		t.Errorf("a day later the former token gets %d", status)
	}
	if status, answer := b.call(b.token, number); status != http.StatusBadRequest {
		t.Errorf("a day later the new token gets %d %s", status, answer)
	}
}

func TestRotatedIdentityIsSeenByCustomersAndLosesNothing(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "hello to the first identity")
	b.waitText("hello to the first identity")
	before := b.report()
	b.stop()
	p.says(b, "written while the identity is rotated")
	b.config.Rotation.Identity = 2
	b.startReady()
	b.waitText("written while the identity is rotated")
	after := b.report()
	if after.Fingerprint == before.Fingerprint {
		t.Error("the fingerprint is the one before")
	}
	if after.DeviceID == 0 || after.DeviceID == before.DeviceID {
		t.Errorf("the device id is %d after %d", after.DeviceID, before.DeviceID)
	}
	if after.PhoneNumberID != before.PhoneNumberID || after.BusinessAccountID != before.BusinessAccountID {
		t.Error("the business's programs know it by other ids than before")
	}
	b.waitStatus(b.say(p.number.E164(), "hello from the second identity"), "read")
	p.sees("hello from the second identity")
	if !p.has(func(e customer.Event) bool { return e.Kind == customer.Received && e.IdentityChanged }) {
		t.Error("the customer does not see that the identity changed")
	}
	p.says(b, "hello to the second identity")
	b.waitText("hello to the second identity")
	if n := b.report().Counts.ForeignDevices; n != 0 {
		t.Errorf("%d foreign devices: our own former one counts", n)
	}
	b.nothingLeaked()
}

func TestRotation_LowerCounterIsRefused(t *testing.T) {
	b := newBusiness(t)
	b.config.Rotation.Access = 3 // a counter may begin anywhere
	b.startReady()
	b.stop()
	b.config.Rotation.Access = 2
	b.start()
	c := b.wait(contract.ConditionKeysReady, contract.False, "RotationCounterBack")
	if !strings.Contains(c.Message, "raise") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if _, err := shared.root.KVv2("kv").Get(t.Context(), b.accessAt(2)); err == nil {
		t.Error("credentials were made for a counter that went back")
	}
	b.stop()
	b.config.Rotation.Access = 3
	b.startReady()
}

func TestVault_VanishedSecretsAreNotMadeAgain(t *testing.T) {
	for name, reason := range map[string]string{"identity/1": "IdentityMissing", "access": "CredentialsMissing"} {
		t.Run(name, func(t *testing.T) {
			b := newBusiness(t)
			path := b.secretAt(name)
			if name == "access" {
				path = b.accessAt(1)
			}
			b.startReady()
			b.stop()
			kv := shared.root.KVv2("kv")
			kept, err := kv.Get(t.Context(), path)
			check(t, err)
			check(t, kv.DeleteMetadata(t.Context(), path))
			b.start()
			c := b.wait(contract.ConditionKeysReady, contract.False, reason)
			if !strings.Contains(c.Message, "backup") {
				t.Errorf("the condition does not say what to do: %s", c.Message)
			}
			if _, err := kv.Get(t.Context(), path); err == nil {
				t.Error("it was made again")
			}
			_, err = kv.Put(t.Context(), path, kept.Data)
			check(t, err)
			b.wait(contract.ConditionKeysReady, contract.True, "")
		})
	}
}

func TestWrappingKey_VanishedIsNotMadeAgain(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	b.stop()
	b.eraseKeys()
	b.start()
	b.wait(contract.ConditionKeysReady, contract.False, "KeysErased")
	if secret, err := shared.root.Logical().ReadWithContext(t.Context(), "transit/keys/"+b.namespace+".acme-relay"); err != nil || secret != nil {
		t.Errorf("there is a key: %v, %v", secret, err)
	}
}

// eraseKeys deletes the tenant's wrapping key, as an admin may.
func (b *business) eraseKeys() {
	b.t.Helper()
	path := "transit/keys/" + b.namespace + ".acme-relay"
	_, err := shared.root.Logical().WriteWithContext(b.t.Context(), path+"/config", map[string]any{"deletion_allowed": true})
	check(b.t, err)
	_, err = shared.root.Logical().DeleteWithContext(b.t.Context(), path)
	check(b.t, err)
}

func TestErasedKeys_RunningRelayForgetsThemAndMakesNone(t *testing.T) {
	b := newBusiness(t)
	b.start(func(o *serve.Options) { o.SweepEvery = 100 * time.Millisecond })
	b.wait(contract.ConditionCarrierConnected, contract.True, "")
	b.ready()
	b.takeCredentials()
	p := newPerson(t)
	p.says(b, "before the erasure")
	b.waitText("before the erasure")
	b.eraseKeys()
	b.wait(contract.ConditionKeysReady, contract.False, "KeysErased")
	if code, _ := b.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", code)
	}
	sweeps := bytes.Count(b.log.bytes(), []byte("swept the store"))
	eventually(t, "it is swept twice more", func() bool { return bytes.Count(b.log.bytes(), []byte("swept the store")) > sweeps+1 })
	b.wait(contract.ConditionKeysReady, contract.False, "KeysErased")
	if status, _ := b.request(http.MethodGet, "/customers/"+p.number.Digits(), b.token, nil); status == http.StatusOK {
		t.Error("what was stored is read still, with a key in memory")
	}
	if secret, err := shared.root.Logical().ReadWithContext(t.Context(), "transit/keys/"+b.namespace+".acme-relay"); err != nil || secret != nil {
		t.Errorf("there is a key again: %v, %v", secret, err)
	}
}

func TestLostVolume_RaisingTheIdentityStartsOver(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	id := b.numberID
	b.stop()
	check(t, os.RemoveAll(filepath.Join(b.dir, "data")))
	check(t, os.Mkdir(filepath.Join(b.dir, "data"), 0o700))
	b.config.Rotation.Identity = 2
	b.startReady()
	if b.numberID != id {
		t.Error("the business's programs know it by another id than before")
	}
	p := newPerson(t)
	p.says(b, "to a relay that started over")
	b.waitText("to a relay that started over")
	b.stop()
	b.startReady() // and goes on
}

func TestClock_AnHourOffIsReportedAndLosesNothing(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			b := newBusiness(t)
			b.start(off(func() time.Duration { return by }))
			c := b.wait(contract.ConditionKeysReady, contract.False, "ClockSkewed")
			if !strings.Contains(c.Message, "clock") {
				t.Errorf("the condition does not name the cause: %s", c.Message)
			}
			b.wait(contract.ConditionCarrierConnected, contract.True, "")
			b.ready()
			b.takeCredentials()
			p := newPerson(t)
			p.says(b, "is it late already?")
			b.waitText("is it late already?")
			b.waitStatus(b.say(p.number.E164(), "only by our clock"), "read")
			b.stop()
			b.startReady() // the clock is right again
			p.says(b, "and now?")
			b.waitText("and now?")
		})
	}
}

func TestClock_AJumpByAMonthLosesNothingThatIsUndelivered(t *testing.T) {
	for _, by := range []time.Duration{31 * 24 * time.Hour, -31 * 24 * time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			b := newBusiness(t)
			var jump atomic.Int64
			b.start(off(func() time.Duration { return time.Duration(jump.Load()) }), func(o *serve.Options) { o.SweepEvery = 100 * time.Millisecond })
			b.wait(contract.ConditionCarrierConnected, contract.True, "")
			b.ready()
			b.takeCredentials()
			p := newPerson(t)
			b.waitStatus(b.say(p.number.E164(), "before the jump"), "read")
			b.setDown(true)
			p.says(b, "not delivered yet")
			eventually(t, "it is stored", func() bool { return b.report().Counts.MessagesIn == 1 })

			jump.Store(int64(by))
			sweeps := func() int { return bytes.Count(b.log.bytes(), []byte("swept the store")) }
			swept := sweeps()
			p.says(b, "said meanwhile")
			eventually(t, "it is stored, too", func() bool { return b.report().Counts.MessagesIn == 2 })
			eventually(t, "it is swept twice more", func() bool { return sweeps() > swept+1 })
			b.wait(contract.ConditionKeysReady, contract.False, "ClockSkewed")
			id := b.say(p.number.E164(), "sent meanwhile")
			b.setDown(false)
			b.waitText("not delivered yet")
			b.waitText("said meanwhile")
			b.waitStatus(id, "read")
		})
	}
}

func TestRestoredVolume_ResetsSessionsAndSendsNothingTwice(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "before the backup")
	b.waitText("before the backup")
	b.waitStatus(b.say(p.number.E164(), "answer before the backup"), "read")
	shared.prosody.Stop()
	t.Cleanup(func() { _ = shared.prosody.Start(context.Background()) })
	b.wait(contract.ConditionCarrierConnected, contract.False, "")
	waiting := b.say(p.number.E164(), "waits when the backup is made")
	b.stop()
	data, backup := filepath.Join(b.dir, "data"), filepath.Join(b.dir, "backup")
	check(t, os.CopyFS(backup, os.DirFS(data)))
	check(t, shared.prosody.Start(t.Context()))
	b.startReady()
	b.waitStatus(waiting, "read")
	p.says(b, "after the backup")
	b.waitText("after the backup")
	b.waitStatus(b.say(p.number.E164(), "answer after the backup"), "read")
	b.stop()

	check(t, os.RemoveAll(data))
	check(t, os.Rename(backup, data))
	check(t, os.WriteFile(filepath.Join(data, "restored"), nil, 0o600)) // as the operations page says
	b.startReady()
	b.waitStatus(waiting, "failed")
	b.waitStatus(b.say(p.number.E164(), "after the restore"), "read")
	p.says(b, "welcome back")
	b.waitText("welcome back")
	for _, text := range []string{"answer before the backup", "waits when the backup is made", "answer after the backup", "after the restore"} {
		if n := p.sees(text); n != 1 {
			t.Errorf("the customer saw %q %d times", text, n)
		}
	}
	b.stop()
	b.startReady() // it does not count as restored again
	b.waitStatus(b.say(p.number.E164(), "in the same session"), "read")
}

// Each step may be the last before a crash: here Vault holds what is new and the store
// does not know, and then the store knows and the carrier does not.
func TestRotation_InterruptedIsFinishedByTheNextStart(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "before")
	b.waitText("before")
	b.stop()
	kv := shared.root.KVv2("kv")
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

	b.config.Rotation = contract.Rotation{Identity: 2, Access: 2}
	shared.prosody.Stop()
	t.Cleanup(func() { _ = shared.prosody.Start(context.Background()) })
	b.start()
	b.wait(contract.ConditionKeysReady, contract.True, "")
	b.stop() // the carrier never learned
	check(t, shared.prosody.Start(t.Context()))
	p.says(b, "to the former identity, which is all that the carrier knows")
	b.startReady()
	b.waitText("to the former identity, which is all that the carrier knows")
	if got := b.report().Fingerprint; got != pair.Public().Fingerprint() {
		t.Errorf("the fingerprint is %s, not that of the identity that Vault held", got)
	}
	if b.token != "t" {
		t.Error("the credentials are not those that Vault held")
	}
	b.waitStatus(b.say(p.number.E164(), "from the new identity"), "read")
	p.says(b, "to the new identity")
	b.waitText("to the new identity")
}
