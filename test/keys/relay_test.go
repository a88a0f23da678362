package keys_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

const month = 30 * 24 * time.Hour

func someKey() ([]byte, error) {
	key := make([]byte, 65)
	_, err := rand.Read(key)
	return key, err
}

func TestIdentityIsMadeOnceAndReadEverAfter(t *testing.T) {
	acme := newTenant(t, "acme")
	first, err := acme.client(roleRelay).Identity(t.Context(), 1, someKey)
	must(t, "making the identity", err)
	again, err := acme.client(roleRelay).Identity(t.Context(), 1, func() ([]byte, error) {
		t.Error("a key was generated although there is an identity")
		return someKey()
	})
	must(t, "reading the identity", err)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the identity changed (-first +again):\n%s", diff)
	}
	if len(first.PrivateKey) != 65 || first.DeviceID == 0 || len(first.PhoneNumberID) != 15 || len(first.BusinessAccountID) != 15 {
		t.Errorf("the identity is incomplete: device %d, IDs of %d and %d digits",
			first.DeviceID, len(first.PhoneNumberID), len(first.BusinessAccountID))
	}
}

func TestRacingRelaysEndUpWithOneIdentity(t *testing.T) {
	acme := newTenant(t, "acme")
	const racers = 6
	var group sync.WaitGroup
	got := make([]vault.Identity, racers)
	errs := make([]error, racers)
	for i := range racers {
		c := acme.client(roleRelay)
		group.Go(func() { got[i], errs[i] = c.Identity(t.Context(), 1, someKey) })
	}
	group.Wait()
	for i := range racers {
		must(t, "racing", errs[i])
		if !bytes.Equal(got[i].PrivateKey, got[0].PrivateKey) {
			t.Errorf("racer %d has another identity", i)
		}
	}
}

func TestDeletedOrForeignIdentityIsNotReplaced(t *testing.T) {
	acme := newTenant(t, "acme")
	relay := acme.client(roleRelay)
	_, err := relay.Identity(t.Context(), 1, someKey)
	must(t, "making the identity", err)
	path := acme.namespace + "/" + acme.name + "/identity/"
	must(t, "deleting it softly", shared.Root.KVv2("kv").Delete(t.Context(), path+"1"))
	_, err = relay.Identity(t.Context(), 1, someKey)
	wantIs(t, "a deleted identity", err, vault.ErrForeignContent)

	_, err = shared.Root.KVv2("kv").Put(t.Context(), path+"2", map[string]any{"privateKey": "AAAA", "deviceID": 0})
	must(t, "writing something else", err)
	_, err = relay.Identity(t.Context(), 2, someKey)
	wantIs(t, "an identity that is none", err, vault.ErrForeignContent)
}

func TestCredentialsAreMadeOnceAndTheirOwnRoleMayReadThem(t *testing.T) {
	acme := newTenant(t, "acme")
	credentials := acme.client(roleCredentials)
	_, err := credentials.ReadAccess(t.Context(), 1)
	wantIs(t, "before there are any", err, vault.ErrNotFound)
	made, err := acme.client(roleRelay).Access(t.Context(), 1)
	must(t, "making credentials", err)
	read, err := credentials.ReadAccess(t.Context(), 1)
	must(t, "reading credentials", err)
	if made != read || len(made.AccessToken) != 43 || made.WebhookSecret == made.VerifyToken {
		t.Error("the credentials are not those that the relay made, or not random")
	}
	_, err = credentials.Identity(t.Context(), 1, someKey)
	wantIs(t, "the identity, by the credentials role", err, vault.ErrDenied)
}

func TestCarrierAccountIsMadeOnlyForANumber(t *testing.T) {
	acme := newTenant(t, "acme")
	relay := acme.client(roleRelay)
	_, err := relay.CarrierAccount(t.Context(), phone.Number{})
	wantIs(t, "an account that an admin should have made", err, vault.ErrNotFound)
	number, err := phone.Parse("+15550001111")
	must(t, "parsing", err)
	made, err := relay.CarrierAccount(t.Context(), number)
	must(t, "making an account", err)
	read, err := relay.CarrierAccount(t.Context(), phone.Number{})
	must(t, "reading the account", err)
	if made != read || made.Username != "+15550001111" {
		t.Error("the account is not the one that was made")
	}
}

func TestDataKeysUnwrapToWhatTheyWere(t *testing.T) {
	acme := newTenant(t, "acme")
	relay := acme.client(roleRelay)
	has, err := relay.HasKeys(t.Context())
	if err != nil || has {
		t.Fatalf("before there is a key HasKeys says %v, %v", has, err)
	}
	_, _, err = relay.DataKey(t.Context())
	wantIs(t, "a data key without a wrapping key", err, vault.ErrNotFound)
	for range 2 { // the second time it is there
		state, err := relay.EnsureKeys(t.Context(), month)
		must(t, "making keys", err)
		if state.AutoRotate != 24*time.Hour || state.Latest().Version != 1 || time.Since(state.Oldest().Created) > time.Minute {
			t.Errorf("the wrapping key is %+v", state)
		}
	}
	has, err = relay.HasKeys(t.Context())
	if err != nil || !has {
		t.Fatalf("HasKeys says %v, %v", has, err)
	}
	for _, w := range []interface {
		DataKey(context.Context) ([]byte, string, error)
		Unwrap(context.Context, string) ([]byte, error)
	}{relay, relay.Settings()} {
		plain, wrapped, err := w.DataKey(t.Context())
		must(t, "getting a data key", err)
		unwrapped, err := w.Unwrap(t.Context(), wrapped)
		must(t, "unwrapping it", err)
		if !bytes.Equal(plain, unwrapped) || len(plain) != 32 {
			t.Error("the key is another after unwrapping")
		}
	}
}

func TestRetentions_MayAllHaveTheirKey(t *testing.T) {
	for _, days := range []int{1, 2, 7, 29, 30} {
		relay := newTenant(t, "acme").client(roleRelay)
		_, err := relay.EnsureKeys(t.Context(), time.Duration(days)*24*time.Hour)
		must(t, "making keys", err)
	}
	relay := newTenant(t, "acme").client(roleRelay)
	_, err := relay.EnsureKeys(t.Context(), 400*24*time.Hour)
	wantIs(t, "a rotation for more than 30 days", err, vault.ErrDenied)
}

func TestCertificateIsForOwnNamesOnly(t *testing.T) {
	acme, globex := newTenant(t, "acme"), newTenant(t, "globex")
	relay := acme.client(roleRelay)
	own := []string{acme.name + "." + acme.namespace + ".relay.test", acme.name + "." + acme.namespace + ".svc"}
	chain, leaf, err := relay.Certificate(t.Context(), request(t, own...))
	must(t, "having own names signed", err)
	if time.Until(leaf.NotAfter) > 73*time.Hour || bytes.Count(chain, []byte("BEGIN CERTIFICATE")) != 2 {
		t.Errorf("the chain has %d certificates, the leaf ends %s", bytes.Count(chain, []byte("BEGIN CERTIFICATE")), leaf.NotAfter)
	}
	for _, name := range []string{
		globex.name + "." + globex.namespace + ".relay.test",
		globex.name + "." + globex.namespace + ".svc",
		"*." + acme.namespace + ".relay.test",
		"x." + own[0],
		"relay.test",
	} {
		_, _, err := relay.Certificate(t.Context(), request(t, name))
		wantIs(t, "a certificate for "+name, err, vault.ErrForeignContent)
	}
}

func request(t *testing.T, names ...string) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, "generating a key", err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	must(t, "making a request", err)
	csr, err := x509.ParseCertificateRequest(der)
	must(t, "reading the request", err)
	return csr
}

func TestClockIsVaults(t *testing.T) {
	now, err := newTenant(t, "acme").client(roleRelay).Now(t.Context())
	must(t, "asking for the time", err)
	if d := time.Since(now); d < -2*time.Second || d > time.Minute {
		t.Errorf("Vault's clock is %s away from that of the same machine", d)
	}
}
