package dataplane_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/jwe"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/rig"
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

// cloudKey is the relay's public key, in PEM, as the endpoint shows it.
func (b *business) cloudKey() string {
	b.t.Helper()
	var answer struct {
		Encryption struct {
			Status string
			Key    []byte `json:"cloud_encryption_key"`
		} `json:"payload_encryption"`
	}
	status, body := b.Ask(http.MethodGet, "/"+b.NumberID+"/settings", "", nil)
	check(b.t, json.Unmarshal([]byte(body), &answer))
	if status != http.StatusOK || answer.Encryption.Status != "enabled" {
		b.t.Fatalf("the settings are %d %s", status, body)
	}
	return string(answer.Encryption.Key)
}

func TestPayloadEncryption_BusinessSendsEncrypted(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	key := b.encryptsTo()
	b.ExpectEncrypted(key)
	b.StartReady()
	p := newPerson(t)
	public := b.cloudKey()
	send := func(text string) {
		t.Helper()
		relay, err := jwe.NewRecipient(public)
		check(t, err)
		sealed, err := relay.Encrypt([]byte(`{"messaging_product":"whatsapp","to":"` + p.Number.E164() + `","text":{"body":"` + text + `"}}`))
		check(t, err)
		status, answer := b.Ask(http.MethodPost, "/"+b.NumberID+"/messages_encrypted", "application/json",
			[]byte(`{"messaging_product":"whatsapp","encrypted_contents":"`+sealed+`"}`))
		var got struct {
			Contents string `json:"encrypted_contents"`
		}
		check(t, json.Unmarshal([]byte(answer), &got))
		plain, err := webhooktest.Decrypt(got.Contents, key)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %s: %v", status, answer, err)
		}
		b.WaitStatus(rig.MessageID(string(plain)), "read")
		p.Sees(text)
	}
	send("encrypted twice")
	b.Stop()
	b.StartReady()
	if b.cloudKey() != public {
		t.Error("a restart replaced the relay's key")
	}
	send("after a restart")
	b.NothingLeaked()
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
	b.WaitStatus(b.Say(p.Number.E164(), "what acme answers"), "read")

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
