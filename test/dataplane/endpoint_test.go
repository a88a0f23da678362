package dataplane_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// served returns the certificate that the endpoint shows.
func (b *business) served(pool *x509.CertPool) *x509.Certificate {
	b.t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: b.Config.Endpoint.Host, MinVersion: tls.VersionTLS12}}
	conn, err := d.DialContext(b.t.Context(), "tcp", b.Endpoint())
	check(b.t, err)
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}

// put writes a tenant's own certificate as the kubelet mounts it, and returns it.
func (b *business) put(serial int64) (*x509.Certificate, *x509.CertPool) {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(b.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "own"}, DNSNames: []string{b.Config.Endpoint.Host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(b.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(b.t, err)
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		check(b.t, os.WriteFile(filepath.Join(b.TLSDir, name), pem.EncodeToMemory(block), 0o600))
	}
	leaf, err := x509.ParseCertificate(der)
	check(b.t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return leaf, pool
}

func TestTenantCertificate_IsServedAndReplacedWhenItsFilesChange(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Endpoint.TLS = contract.TLSFromSecret
	var shift atomic.Int64 // of the relay's clock
	b.Start(func(o *serve.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	})
	c := b.Wait(contract.ConditionKeysReady, contract.False, "CertificateUnreadable")
	if c.Message == "" {
		t.Error("the condition does not say what to do")
	}
	leaf, pool := b.put(1)
	await.Until(t, "the relay is ready", func() bool { code, _ := b.Get("/readyz"); return code == http.StatusOK })
	if got := b.served(pool); !got.Equal(leaf) {
		t.Error("another certificate is served")
	}
	b.TakeCredentials()
	b.Trust(pool)
	open := func() int { status, _ := b.Request(http.MethodGet, "", b.Token, nil); return status }
	if status := open(); status != http.StatusOK {
		t.Fatalf("the endpoint answers %d", status)
	}
	next, pool := b.put(2)
	check(t, os.Chtimes(filepath.Join(b.TLSDir, "tls.crt"), time.Time{}, time.Now().Add(time.Minute)))
	shift.Store(int64(time.Minute))
	if got := b.served(pool); !got.Equal(next) {
		t.Error("the old certificate is still served")
	}
	// The client trusts the former certificate only, so a new connection would fail.
	if status := open(); status != http.StatusOK {
		t.Errorf("on the connection that was open before the endpoint answers %d", status)
	}
}

func TestVaultsCertificateIsForTheRelaysTwoNames(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	pool := b.Client.Transport.(*http.Transport).TLSClientConfig.RootCAs
	leaf := b.served(pool)
	for _, name := range []string{b.Config.Endpoint.Host, "acme-relay." + b.Namespace + ".svc"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Errorf("the certificate: %v", err)
		}
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 73*time.Hour {
		t.Errorf("the certificate is valid for %s", life)
	}
}

func TestBehindAGatewayTheEndpointIsPlain(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Endpoint.TLS = contract.TLSAtGateway
	b.StartReady()
	status, _ := b.Call(b.Token, map[string]any{"messaging_product": "whatsapp", "to": shared.Number(), "text": map[string]string{"body": "hello"}})
	if status != http.StatusOK {
		t.Errorf("the endpoint answered %d", status)
	}
}

func TestWebhook_MissingIsReportedAndMessagesAreKept(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Webhook = nil
	b.Start()
	b.Wait(contract.ConditionWebhookVerified, contract.False, "NotConfigured")
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	newPerson(t).Says(b, "kept")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued == 1 })
}

func TestCarrierAccount_MissingAtAClosedCarrierSaysWhoMustAct(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Carrier.XMPP.Registration = "Closed"
	b.Start()
	b.Wait(contract.ConditionCarrierConnected, contract.False, "AccountMissing")
	if since, found := b.gauge("relaykeep_carrier_state_timestamp_seconds", ""); found {
		t.Errorf("without an account it has had a state since %v", since)
	}
	check(t, shared.prosody.AddAccount(t.Context(), b.Number, "an admin's choice"))
	put := func(password string) {
		_, err := shared.Root.KVv2("kv").Put(t.Context(), b.Namespace+"/acme-relay/carrier",
			map[string]any{"username": b.Number, "password": password})
		check(t, err)
	}
	put("a slip of the pen")
	b.Wait(contract.ConditionCarrierConnected, contract.False, "CredentialsRefused")
	put("an admin's choice")
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
}

// TestRelay_RegistersWithTheTokenThatAnAdminPutsIntoVault: at a carrier that admits the
// invited only.
func TestRelay_RegistersWithTheTokenThatAnAdminPutsIntoVault(t *testing.T) {
	t.Parallel()
	carrier := prosody.StartT(t, prosody.Options{Invitations: true})
	invitation := func() string {
		token, err := carrier.Invite(t.Context())
		check(t, err)
		return token
	}
	b := newBusiness(t)
	x := b.Config.Carrier.XMPP
	x.Domain, x.Address, x.CABundle, x.Registration = carrier.Domain, carrier.Addr, string(carrier.CAPEM), "Token"
	b.Start()
	b.Wait(contract.ConditionCarrierConnected, contract.False, "AccountMissing")
	put := func(token string) {
		b.Hide(token)
		_, err := shared.Root.KVv2("kv").Put(t.Context(), b.Namespace+"/acme-relay/carrier",
			map[string]any{"username": b.Number, "password": "made with the token", "registrationToken": token})
		check(t, err)
	}
	put("a slip of the pen")
	b.Wait(contract.ConditionCarrierConnected, contract.False, "RegistrationRefused")
	put(invitation())
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	b.NothingLeaked()
}

func TestErasingRemovesTheAccountFromTheCarrier(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	secret, err := shared.Root.KVv2("kv").Get(t.Context(), b.Namespace+"/acme-relay/carrier")
	check(t, err)
	password, _ := secret.Data["password"].(string)

	dir := t.TempDir()
	token := func(audience string) string {
		text, err := shared.Kube.Token(t.Context(), b.Namespace, "acme-relay", audience)
		check(t, err)
		path := filepath.Join(dir, strings.ReplaceAll(audience, "/", "-"))
		check(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	program := filepath.Join(dir, "relay")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-tags", "testpaths", "-o", program, "../../cmd/relay").CombinedOutput()
	if err != nil {
		t.Fatalf("building the relay: %v\n%s", err, out)
	}
	for range 2 { // once more finds nothing and is no failure
		args := []string{"erase", "--config", b.ConfigFile(), "--token", token(contract.AudienceJanitor("eu")), "--relay-token", token(contract.AudienceRelay("eu"))}
		args = append(append(args, b.Config.Vault.Arguments()...), b.Config.Carrier.XMPP.Arguments()...)
		out, err = exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("erasing: %v\n%s", err, out)
		}
	}
	number, err := phone.Parse(b.Number)
	check(t, err)
	err = xmpp.Unregister(t.Context(), xmpp.Config{
		Login: xmpp.Login{Account: number, Domain: shared.prosody.Domain, Address: shared.prosody.Addr, CABundle: shared.prosody.CAPEM, Password: password},
	})
	if password == "" || !errors.Is(err, xmpp.ErrCredentials) {
		t.Errorf("the account is there still: %v", err)
	}
}
