package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// authority signs requests, as Vault's PKI does, or fails as told.
type authority struct {
	mu   sync.Mutex // guards the following fields
	key  *ecdsa.PrivateKey
	fail error
	seen []*x509.CertificateRequest
}

const life = 72 * time.Hour

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key}
}

func (a *authority) sign(_ context.Context, csr *x509.CertificateRequest) ([]byte, *x509.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return nil, nil, a.fail
	}
	a.seen = append(a.seen, csr)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(a.seen))), DNSNames: csr.DNSNames,
		NotBefore: time.Now(), NotAfter: time.Now().Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, csr.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), leaf, err
}

func (a *authority) set(fail error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = fail
}

func (a *authority) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// elapse lets time pass on the clock of a synctest bubble.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestCertificate_IsRenewedAtTwoThirdsOfItsLifeWithANewKey(t *testing.T) {
	a := newAuthority(t)
	synctest.Test(t, func(t *testing.T) {
		c := &issuedCertificate{names: []string{"a.test", "b.test"}, sign: a.sign, now: time.Now}
		if err := c.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.keep(ctx, func(error) {})
		elapse(life*2/3 - time.Minute)
		if n := a.count(); n != 1 {
			t.Errorf("%d certificates before two thirds of the life", n)
		}
		elapse(2 * time.Minute)
		if n := a.count(); n != 2 {
			t.Fatalf("%d certificates after two thirds of the life", n)
		}
		if !slices.Equal(a.seen[0].DNSNames, c.names) {
			t.Errorf("requested for %v", a.seen[0].DNSNames)
		}
		one, two := a.seen[0].PublicKey.(*ecdsa.PublicKey), a.seen[1].PublicKey.(*ecdsa.PublicKey)
		if one.Equal(two) {
			t.Error("the key was used again")
		}
		if shown, _ := c.get(nil); shown.Leaf.SerialNumber.Int64() != 2 {
			t.Error("the old certificate is still shown")
		}
	})
}

func TestCertificate_FailedRenewalKeepsTheOldAndIsRetried(t *testing.T) {
	a := newAuthority(t)
	synctest.Test(t, func(t *testing.T) {
		c := &issuedCertificate{names: []string{"a.test"}, sign: a.sign, now: time.Now}
		if err := c.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.set(errors.New("away"))
		var mu sync.Mutex
		var told error
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.keep(ctx, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told = err
		})
		elapse(life*2/3 + 5*time.Minute)
		mu.Lock()
		if told == nil {
			t.Error("the failure was not told")
		}
		mu.Unlock()
		if shown, _ := c.get(nil); shown.Leaf.SerialNumber.Int64() != 1 {
			t.Error("the certificate at hand was given up")
		}
		a.set(nil)
		elapse(2 * renewRetry)
		mu.Lock()
		defer mu.Unlock()
		if told != nil || a.count() != 2 {
			t.Errorf("after the authority returned: %v, %d certificates", told, a.count())
		}
	})
}

func TestCertificate_EmptyChainIsRefused(t *testing.T) {
	for _, chain := range []string{"", "no PEM", "-----BEGIN CERTIFICATE-----\n"} {
		if _, err := parseChain([]byte(chain)); err == nil {
			t.Errorf("%q was accepted", chain)
		}
	}
}
