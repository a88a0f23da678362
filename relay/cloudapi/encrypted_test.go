package cloudapi_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

const encryptedMessages = "/v23.0/" + numberID + "/messages_encrypted"

// encryptedAPI has such an encryption.
func encryptedAPI(t testing.TB, s cloudapi.Service) *cloudapi.API {
	t.Helper()
	o := options(t, s)
	o.Encryption = turnedEncryption()
	return cloudapi.New(o)
}

// turnedEncryption turns texts around; what begins with "!" cannot be decrypted.
func turnedEncryption() *cloudapi.Encryption {
	return &cloudapi.Encryption{
		Fingerprint: "SHA256:00", RelayKey: "relay's key", IsKey: func(pem string) bool { return pem == "business's key" },
		Decrypt: func(text string) ([]byte, error) {
			if strings.HasPrefix(text, "!") {
				return nil, errors.New("is for another key")
			}
			return []byte(turned(text)), nil
		},
		Encrypt: func(plain []byte) (string, error) { return turned(string(plain)), nil },
	}
}

func turned(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// encryptedBody is a request whose contents are turned around.
func encryptedBody(t testing.TB, plain string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"messaging_product": "whatsapp", "encrypted_contents": turned(plain)})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const helloText = `{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"Hello"}}`

func TestEncryptedMessage_IsSentAndItsAnswerEncrypted(t *testing.T) {
	s := &service{}
	h := encryptedAPI(t, s)
	w := call(h, http.MethodPost, encryptedMessages, encryptedBody(t, helloText))
	var answer map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || len(answer) != 1 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	inClear := call(cloudapi.New(options(t, &service{})), http.MethodPost, messages, helloText)
	if got := turned(answer["encrypted_contents"]); got != inClear.Body.String() {
		t.Errorf("decrypted it is %s, want %s", got, inClear.Body)
	}
	if len(s.texts) != 1 || s.texts[0].Body != "Hello" {
		t.Errorf("the service got %+v", s.texts)
	}
	if w := call(h, http.MethodPost, encryptedMessages, encryptedBody(t, `{"messaging_product":"whatsapp","status":"read","message_id":"`+wamid+`"}`)); w.Code != http.StatusOK || len(s.reads) != 1 {
		t.Errorf("a read mark: %d %s", w.Code, w.Body)
	}
}

func TestEncryptedMessage_ErrorsAreInClearAndChangeNothing(t *testing.T) {
	for name, body := range map[string]string{
		"encrypted-no-product":     `{"encrypted_contents":"x"}`,
		"encrypted-other-product":  `{"messaging_product":"sms","encrypted_contents":"x"}`,
		"encrypted-no-contents":    `{"messaging_product":"whatsapp"}`,
		"encrypted-in-clear":       helloText,
		"encrypted-wrong-type":     `{"messaging_product":"whatsapp","encrypted_contents":{}}`,
		"encrypted-for-another":    `{"messaging_product":"whatsapp","encrypted_contents":"!x"}`,
		"encrypted-no-json":        encryptedBody(t, "Hello"),
		"encrypted-no-recipient":   encryptedBody(t, `{"messaging_product":"whatsapp","text":{"body":"Hello"}}`),
		"encrypted-inner-product":  encryptedBody(t, `{"to":"16505551234","text":{"body":"Hello"}}`),
		"encrypted-inner-too-long": encryptedBody(t, strings.Repeat(" ", cloudapi.MaxBody)+helloText),
		"encrypted-too-large":      encryptedBody(t, strings.Repeat(" ", cloudapi.MaxEncryptedBody)),
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			golden(t, name, call(encryptedAPI(t, s), http.MethodPost, encryptedMessages, body))
			if len(s.texts) != 0 {
				t.Error("something was sent")
			}
		})
	}
}

func TestEncryptedMessage_AnswerThatCannotBeEncryptedIsNotShown(t *testing.T) {
	o := options(t, &service{})
	o.Encryption = &cloudapi.Encryption{
		Decrypt: func(string) ([]byte, error) { return []byte(helloText), nil },
		Encrypt: func([]byte) (string, error) { return "", errors.New("no entropy") },
	}
	w := call(cloudapi.New(o), http.MethodPost, encryptedMessages, encryptedBody(t, "x"))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), wamid) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPayloadEncryption_WithoutAKeyIsDisabled(t *testing.T) {
	s := &service{}
	h := cloudapi.New(options(t, s))
	golden(t, "encrypted-disabled", call(h, http.MethodPost, encryptedMessages, encryptedBody(t, helloText)))
	golden(t, "settings-disabled", call(h, http.MethodGet, settings, ""))
	if len(s.texts) != 0 {
		t.Error("something was sent")
	}
}

const settings = "/v23.0/" + numberID + "/settings"

func TestSettings_AreThoseOfTheObject(t *testing.T) {
	golden(t, "settings", call(encryptedAPI(t, &service{}), http.MethodGet, settings, ""))
	key := base64.StdEncoding.EncodeToString([]byte("business's key"))
	other := base64.StdEncoding.EncodeToString([]byte("another key"))
	for name, q := range map[string]struct {
		body               string
		enabled, otherwise int // the status with and without payload encryption
	}{
		"the same key":   {`{"payload_encryption":{"status":"enabled","client_encryption_key":"` + key + `"}}`, 200, 403},
		"another key":    {`{"payload_encryption":{"status":"enabled","client_encryption_key":"` + other + `"}}`, 403, 403},
		"disabled":       {`{"payload_encryption":{"status":"disabled"}}`, 403, 200},
		"no key":         {`{"payload_encryption":{"status":"enabled"}}`, 400, 400},
		"no base64":      {`{"payload_encryption":{"status":"enabled","client_encryption_key":"?"}}`, 400, 400},
		"another status": {`{"payload_encryption":{"status":"maybe"}}`, 400, 400},
		"a wrong type":   {`{"payload_encryption":"enabled"}`, 400, 400},
		"another one":    {`{"calling":{"status":"enabled"}}`, 400, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if w := call(encryptedAPI(t, &service{}), http.MethodPost, settings, q.body); w.Code != q.enabled {
				t.Errorf("enabled: %d %s", w.Code, w.Body)
			}
			if w := call(cloudapi.New(options(t, &service{})), http.MethodPost, settings, q.body); w.Code != q.otherwise {
				t.Errorf("disabled: %d %s", w.Code, w.Body)
			}
		})
	}
}
