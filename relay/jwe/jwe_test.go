package jwe_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/jwe"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// pair is a business's pair of keys, the public one in PEM.
func pair(t testing.TB, bits int) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// newKey is a relay's key.
func newKey(t testing.TB) *jwe.Key {
	t.Helper()
	der, err := jwe.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := jwe.ParseKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRecipient_ReadsWithAnotherImplementation(t *testing.T) {
	private, public := pair(t, 3072)
	r, err := jwe.NewRecipient(public)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"", `{"a":1}`, strings.Repeat("x", 100_000)} {
		text, err := r.Encrypt([]byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		got, err := webhooktest.Decrypt(text, private)
		if err != nil || string(got) != plain {
			t.Errorf("%d bytes came back as %d: %v", len(plain), len(got), err)
		}
	}
}

func TestRecipient_HeaderNamesAlgorithmsAndKey(t *testing.T) {
	_, public := pair(t, 2048)
	r, err := jwe.NewRecipient(public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Encrypt([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]string
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	if len(header) != 3 || header["alg"] != "RSA-OAEP" || header["enc"] != "A256GCM" || header["kid"] != r.Fingerprint() {
		t.Errorf("the header is %s", raw)
	}
}

func TestRecipient_ContentKeyIsUsedOnce(t *testing.T) {
	_, public := pair(t, 2048)
	r, err := jwe.NewRecipient(public)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	seen := map[string]bool{}
	for range 16 {
		all.Go(func() {
			text, err := r.Encrypt([]byte("the same"))
			mu.Lock()
			defer mu.Unlock()
			parts := strings.Split(text, ".")
			if err != nil || len(parts) != 5 || seen[parts[1]] || seen[parts[3]] {
				t.Errorf("a JWE of %d parts repeats a key or a ciphertext: %v", len(parts), err)
				return
			}
			seen[parts[1]], seen[parts[3]] = true, true
		})
	}
	all.Wait()
}

func TestRecipient_KnowsItsKey(t *testing.T) {
	_, public := pair(t, 2048)
	_, other := pair(t, 2048)
	r, err := jwe.NewRecipient(public)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Is("\n"+public) || r.Is(other) || r.Is("") {
		t.Error("it takes another key for its own, or not its own")
	}
}

func TestRecipient_WeakOrOtherKeyIsRefused(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	_, weak := pair(t, 1024)
	if _, err := jwe.NewRecipient(weak); !errors.Is(err, contract.ErrPublicKeySize) {
		t.Errorf("1024 bits: %v", err)
	}
	if _, err := jwe.NewRecipient("key"); !errors.Is(err, contract.ErrPublicKeyForm) {
		t.Errorf("no PEM: %v", err)
	}
}

// sealed encrypts for the relay as a client would.
func sealed(t testing.TB, k *jwe.Key, a jose.KeyAlgorithm, e jose.ContentEncryption, zip jose.CompressionAlgorithm) string {
	t.Helper()
	public, err := contract.ParsePublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	encrypter, err := jose.NewEncrypter(e, jose.Recipient{Algorithm: a, Key: public}, &jose.EncrypterOptions{Compression: zip})
	if err != nil {
		t.Fatal(err)
	}
	object, err := encrypter.Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestKey_DecryptsEveryContentEncryptionOfTheAPI(t *testing.T) {
	k := newKey(t)
	for _, e := range []jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A192CBC_HS384, jose.A256CBC_HS512} {
		if plain, err := k.Decrypt(sealed(t, k, jose.RSA_OAEP, e, jose.NONE)); err != nil || string(plain) != "hello" {
			t.Errorf("%s: %q, %v", e, plain, err)
		}
	}
}

func TestKey_RefusesOtherFormsAndAlgorithms(t *testing.T) {
	k := newKey(t)
	good := sealed(t, k, jose.RSA_OAEP, jose.A256GCM, jose.NONE)
	for name, text := range map[string]string{
		"RSA1_5":       sealed(t, k, jose.RSA1_5, jose.A256GCM, jose.NONE),
		"RSA-OAEP-256": sealed(t, k, jose.RSA_OAEP_256, jose.A256GCM, jose.NONE),
		"A192GCM":      sealed(t, k, jose.RSA_OAEP, jose.A192GCM, jose.NONE),
		"compressed":   sealed(t, k, jose.RSA_OAEP, jose.A256GCM, jose.DEFLATE),
		"empty":        "",
		"four parts":   good[:strings.LastIndexByte(good, '.')],
		"six parts":    good + ".x",
		"JSON":         `{"protected":"e30","ciphertext":""}`,
	} {
		if _, err := k.Decrypt(text); !errors.Is(err, jwe.ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKey_RefusesWhatWasChangedOrIsForAnother(t *testing.T) {
	k := newKey(t)
	good := sealed(t, k, jose.RSA_OAEP, jose.A256GCM, jose.NONE)
	for i, part := range strings.Split(good, ".") {
		if i == 0 {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 1
		parts := strings.Split(good, ".")
		parts[i] = base64.RawURLEncoding.EncodeToString(raw)
		if _, err := k.Decrypt(strings.Join(parts, ".")); !errors.Is(err, jwe.ErrUndecryptable) {
			t.Errorf("with part %d changed: %v", i, err)
		}
	}
	if _, err := newKey(t).Decrypt(good); !errors.Is(err, jwe.ErrUndecryptable) {
		t.Errorf("with another key: %v", err)
	}
}

func TestParseKey_RefusesAnythingElse(t *testing.T) {
	for _, der := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{0x30}, 64)} {
		if _, err := jwe.ParseKey(der); err == nil {
			t.Errorf("%d bytes are a key", len(der))
		}
	}
}

func FuzzDecrypt(tf *testing.F) {
	f := mutation.Of(tf)
	k := newKey(f)
	f.Add(sealed(f, k, jose.RSA_OAEP, jose.A256GCM, jose.NONE))
	f.Add("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhDQkMtSFMyNTYifQ.AA.AA.AA.AA")
	f.Add("....")
	f.Fuzz(func(t *testing.T, text string) {
		plain, err := k.Decrypt(text)
		if err == nil && len(plain) > len(text) {
			t.Errorf("%d characters became %d bytes", len(text), len(plain))
		}
		if err != nil && !errors.Is(err, jwe.ErrForm) && !errors.Is(err, jwe.ErrUndecryptable) {
			t.Errorf("%v", err)
		}
	})
}
