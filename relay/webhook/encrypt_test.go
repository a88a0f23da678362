package webhook_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/jwe"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// deliverEncrypted is deliver with payload encryption; it returns once the receiver is verified.
func deliverEncrypted(t *testing.T, r *receiver, encrypt func([]byte) (string, error)) *fixture {
	t.Helper()
	d, err := webhook.New(webhook.Options{
		Receiver: r.as(), Encrypt: encrypt, MaxUpdates: webhook.MaxUpdates, Retention: 30 * 24 * time.Hour,
		Finish: func(context.Context, ...queue.Job) error { return nil },
		Bury:   func(context.Context, queue.Job, int, string) error { return nil }, Recovered: func() {},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Deliverer: d}
	f.start(t).reason(t, contract.True, webhook.ReasonVerified)
	return f
}

// newPair is a business's private key and what encrypts for it.
func newPair(t *testing.T) (*rsa.PrivateKey, *jwe.Recipient) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	to, err := jwe.NewRecipient(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return key, to
}

// messageJob is a job with the payload of a customer's text.
func messageJob(t *testing.T) queue.Job {
	t.Helper()
	payload, err := account(t).MessagePayload(webhook.Message{
		ID: "wamid.1", From: mustNumber(t, "+4915112345678"), Name: "Ännchen", Time: time.Unix(1, 0), Text: "my secret \x00 <text>",
	})
	if err != nil {
		t.Fatal(err)
	}
	return queue.Job{ID: 1, Created: time.Now(), Body: payload}
}

func TestEncryptedDelivery_HoldsThePayloadForTheBusinessOnly(t *testing.T) {
	r := newReceiver(t)
	key, to := newPair(t)
	f, j := deliverEncrypted(t, r, to.Encrypt), messageJob(t)
	if !f.work(t.Context(), j).Done || len(r.got()) != 1 {
		t.Fatal("not delivered")
	}
	body := r.got()[0]
	for _, hidden := range []string{"secret", "4915112345678", "nnchen", "wamid", "contacts", "messages\":["} {
		if strings.Contains(body, hidden) {
			t.Errorf("%s went in clear", hidden)
		}
	}
	if r.badSigned != 0 {
		t.Error("the signature is not over the encrypted body")
	}
	plain, err := webhooktest.DecryptPayload([]byte(body), key)
	if err != nil {
		t.Fatal(err)
	}
	// The decoder escapes HTML again and keeps every other byte.
	var want bytes.Buffer
	json.HTMLEscape(&want, j.Body)
	if got := sorted(t, plain); got != sorted(t, want.Bytes()) {
		t.Errorf("decrypted it is %s, want %s", got, want.Bytes())
	}
	envelope := account(t)
	for _, shown := range []string{
		`"object":"whatsapp_business_account"`, `"id":"` + envelope.BusinessAccountID + `"`, `"field":"messages"`,
		`"phone_number_id":"` + envelope.PhoneNumberID + `"`, `"messaging_product":"whatsapp"`, `"encrypted_contents":"eyJ`,
	} {
		if !strings.Contains(body, shown) {
			t.Errorf("the envelope lacks %s: %s", shown, body)
		}
	}
}

// sorted writes a JSON text with its fields in order.
func sorted(t *testing.T, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestEncryptedDelivery_IsNotRepeatedInItsBytes(t *testing.T) {
	r := newReceiver(t)
	_, to := newPair(t)
	f, j := deliverEncrypted(t, r, to.Encrypt), messageJob(t)
	r.behave(echo, answer(500))
	f.work(t.Context(), j)
	f.work(t.Context(), j)
	if got := r.got(); len(got) != 2 || got[0] == got[1] {
		t.Errorf("%d attempts, or two with one content key", len(got))
	}
}

func TestEncryptedDelivery_FailsClosed(t *testing.T) {
	r := newReceiver(t)
	_, to := newPair(t)
	for name, tc := range map[string]struct {
		encrypt func([]byte) (string, error)
		body    string
	}{
		"encryption fails":        {func([]byte) (string, error) { return "", errors.New("no entropy") }, ""},
		"encryption is empty":     {func([]byte) (string, error) { return "", nil }, ""},
		"not JSON":                {to.Encrypt, "secret"},
		"no entry":                {to.Encrypt, `{"object":"secret"}`},
		"a value that is a text":  {to.Encrypt, `{"object":"x","entry":[{"id":"1","changes":[{"field":"messages","value":"secret"}]}]}`},
		"a value of another form": {to.Encrypt, `{"object":"x","entry":[{"id":"1","changes":[{"field":"messages","value":{"text":"secret"}}]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			f, j := deliverEncrypted(t, r, tc.encrypt), messageJob(t)
			if tc.body != "" {
				j.Body = []byte(tc.body)
			}
			if f.work(t.Context(), j).Done || len(r.got()) != 0 {
				t.Fatal("something was sent")
			}
			f.reason(t, contract.False, webhook.ReasonNotEncrypted)
			if blamed := strings.Contains(f.Condition().Message, "publicKey"); blamed != (tc.body == "") {
				t.Errorf("the condition blames the key: %v", blamed)
			}
			next := messageJob(t)
			if tc.body != "" && (!f.work(t.Context(), next).Done || len(r.got()) != 1) {
				t.Error("the next webhook was not delivered")
			}
			r.mu.Lock()
			r.bodies = nil
			r.mu.Unlock()
		})
	}
}

func TestDelivery_WithoutAKeyIsAsStored(t *testing.T) {
	r := newReceiver(t)
	f, j := deliverEncrypted(t, r, nil), messageJob(t)
	if !f.work(t.Context(), j).Done || r.got()[0] != string(j.Body) {
		t.Error("the body is not the stored payload")
	}
}
