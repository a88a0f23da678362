package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os/exec"
	"testing"

	"github.com/relaykeep/relaykeep/relay/jwe"
)

// jwcrypto decrypts a JWE with a private key, and encrypts what it found for a public key with each
// content encryption that the Cloud API names, as a business's program with Debian's
// python3-jwcrypto would.
const jwcrypto = `
import json, sys
from jwcrypto import jwe, jwk
q = json.load(sys.stdin)
got = jwe.JWE(algs=["RSA-OAEP", "A256GCM"])
got.deserialize(q["jwe"], jwk.JWK.from_pem(q["private"].encode()))
sealed = []
for enc in ["A128GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"]:
    j = jwe.JWE(got.payload, json.dumps({"alg": "RSA-OAEP", "enc": enc}))
    j.add_recipient(jwk.JWK.from_pem(q["public"].encode()))
    sealed.append(j.serialize(compact=True))
json.dump({"header": got.jose_header, "plain": got.payload.decode(), "sealed": sealed}, sys.stdout)
`

func TestPayloadEncryption_WithJwcrypto(t *testing.T) {
	t.Parallel()
	business, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	public, err := x509.MarshalPKIXPublicKey(&business.PublicKey)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(business)
	check(t, err)
	to, err := jwe.NewRecipient(block("PUBLIC KEY", public))
	check(t, err)
	der, err := jwe.NewKey()
	check(t, err)
	own, err := jwe.ParseKey(der)
	check(t, err)

	const plain = `{"text":{"body":"grüezi"}}`
	sealed, err := to.Encrypt([]byte(plain))
	check(t, err)
	question, err := json.Marshal(map[string]string{"jwe": sealed, "private": block("PRIVATE KEY", private), "public": own.Public()})
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	python := exec.CommandContext(ctx, "/usr/bin/python3", "-c", jwcrypto)
	python.Stdin, python.Stderr = bytes.NewReader(question), t.Output()
	out, err := python.Output()
	check(t, err)
	var answer struct {
		Header map[string]string
		Plain  string
		Sealed []string
	}
	check(t, json.Unmarshal(out, &answer))
	if answer.Plain != plain || answer.Header["alg"] != "RSA-OAEP" || answer.Header["enc"] != "A256GCM" || answer.Header["kid"] != to.Fingerprint() {
		t.Errorf("it read %+v", answer)
	}
	for i, text := range answer.Sealed {
		if got, err := own.Decrypt(text); err != nil || string(got) != plain {
			t.Errorf("content encryption %d: %q, %v", i, got, err)
		}
	}
	if len(answer.Sealed) != 5 {
		t.Errorf("it encrypted %d times", len(answer.Sealed))
	}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
