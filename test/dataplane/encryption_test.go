package dataplane_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
)

// encryptsTo makes a pair of keys for payload encryption, and has the relay's next start use it.
func (b *business) encryptsTo() *rsa.PrivateKey {
	b.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, contract.MinPublicKeyBits)
	check(b.t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(b.t, err)
	b.Config.PayloadEncryption = &contract.PayloadEncryption{
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}
	return key
}

func TestPayloadEncryption_WebhooksThatWaitGoToTheKeyInForce(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "in clear")
	b.WaitText("in clear")

	b.Stop()
	b.ExpectEncrypted(b.encryptsTo())
	b.StartReady()
	p.Says(b, "with the first key")
	b.WaitText("with the first key")
	b.WaitStatus(b.Say(p.Number.E164(), "an answer"), "read")

	b.SetDown(true)
	p.Says(b, "it waits")
	b.WaitReport("a webhook that waits", func(s contract.Status) bool { return s.Counts.WebhookQueued > 0 })
	b.Stop()
	b.ExpectEncrypted(b.encryptsTo())
	b.SetDown(false)
	b.StartReady()
	b.WaitText("it waits")
	if n := b.Unsigned(); n != 0 {
		t.Errorf("%d webhooks were in clear or for another key", n)
	}
	b.NothingLeaked()
}
