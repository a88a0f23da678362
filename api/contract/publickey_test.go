package contract_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// publicPEM encodes a public key.
func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sized is an RSA public key of a size; no private key belongs to it.
func sized(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

func TestPublicKey_SizesBetweenTheLimitsAreRead(t *testing.T) {
	for bits, want := range map[int]error{
		512: contract.ErrPublicKeySize, 1024: contract.ErrPublicKeySize, 2047: contract.ErrPublicKeySize, 2048: nil,
		3072: nil, 4096: nil, 8192: nil, 8193: contract.ErrPublicKeySize, 16384: contract.ErrPublicKeySize,
	} {
		key, err := contract.ParsePublicKey("\n" + publicPEM(t, sized(bits)) + "  \n")
		if !errors.Is(err, want) || (err == nil && key.N.BitLen() != bits) {
			t.Errorf("%d bits: %v, want %v", bits, err, want)
		}
	}
}

func TestPublicKey_NothingElseIsRead(t *testing.T) {
	good := publicPEM(t, sized(2048))
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	even := sized(2048)
	even.E = 65536
	for name, text := range map[string]string{
		"nothing":           "",
		"base64 alone":      strings.Join(strings.Split(good, "\n")[1:3], ""),
		"two keys":          good + good,
		"text before":       "my key: " + good,
		"text behind":       good + "x",
		"another type":      strings.ReplaceAll(good, "PUBLIC KEY", "RSA PUBLIC KEY"),
		"a private key":     strings.ReplaceAll(good, "PUBLIC KEY", "PRIVATE KEY"),
		"a certificate":     strings.ReplaceAll(good, "PUBLIC KEY", "CERTIFICATE"),
		"with headers":      strings.Replace(good, "\n", "\nProc-Type: 4\n\n", 1),
		"an elliptic curve": publicPEM(t, &curve.PublicKey),
		"an even exponent":  publicPEM(t, even),
		"too long":          good + strings.Repeat("\n", contract.MaxPublicKeyText),
	} {
		if _, err := contract.ParsePublicKey(text); !errors.Is(err, contract.ErrPublicKeyForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParsePublicKey(tf *testing.F) {
	f := mutation.Of(tf)
	for _, bits := range []int{512, 2048, 4096} {
		f.Add(publicPEM(f, sized(bits)))
	}
	f.Add("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := contract.ParsePublicKey(text)
		if err != nil {
			if !errors.Is(err, contract.ErrPublicKeyForm) && !errors.Is(err, contract.ErrPublicKeySize) {
				t.Error(err)
			}
			return
		}
		if bits := key.N.BitLen(); bits < contract.MinPublicKeyBits || bits > contract.MaxPublicKeyBits || len(text) > contract.MaxPublicKeyText {
			t.Errorf("a key of %d bits in %d bytes was read", bits, len(text))
		}
		again, err := contract.ParsePublicKey(publicPEM(t, key))
		if err != nil || !again.Equal(key) {
			t.Errorf("a key does not survive being written: %v", err)
		}
	})
}
