package dataplane_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/await"
)

// bringsOwn puts a receiver's own credentials where the relay looks for them.
func (b *business) bringsOwn(dir string, known vault.Access) {
	b.t.Helper()
	for key, value := range map[string]string{contract.AppSecretKey: known.WebhookSecret, contract.VerifyTokenKey: known.VerifyToken} {
		check(b.t, os.WriteFile(filepath.Join(dir, key), []byte(value), 0o600))
	}
	b.Hide(known.WebhookSecret, known.VerifyToken)
}

func TestReceiver_BringsItsOwnCredentials(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Webhook.OwnCredentials = true
	dir := t.TempDir()
	own := vault.Access{WebhookSecret: "the receiver's own app secret", VerifyToken: "the receiver's own token"}
	b.Expect(own)
	b.Start(func(o *serve.Options) { o.WebhookCredentialsDir = dir })
	b.Wait(contract.ConditionWebhookVerified, contract.False, "CredentialsUnusable")
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	p := newPerson(t)
	p.Says(b, "before the Secret is there")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued == 1 })
	b.bringsOwn(dir, own)
	b.Wait(contract.ConditionWebhookVerified, contract.True, "Verified")
	b.WaitText("before the Secret is there")

	next := vault.Access{WebhookSecret: "the receiver's next app secret", VerifyToken: "the receiver's next token"}
	b.Expect(next)
	b.bringsOwn(dir, next) // before anything is told: what is signed with the former ones the receiver refuses, and gets again
	p.Says(b, "after the Secret was changed")
	b.WaitText("after the Secret was changed")
	b.NothingLeaked()
}
