package vault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
)

func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestLogin_ServesManyCallers(t *testing.T) {
	f := newFixture(t)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, _, err := f.client.DataKey(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := f.loginCount(); n != 1 {
		t.Errorf("logged in %d times", n)
	}
}

func TestLoginIsMadeAnewAtTwoThirdsOfItsTimeWithTheTokenFileAsItIsThen(t *testing.T) {
	f := newFixture(t)
	for _, step := range []struct {
		pass   time.Duration
		logins int
	}{{0, 1}, {9 * time.Minute, 1}, {2 * time.Minute, 2}, {9 * time.Minute, 2}, {2 * time.Hour, 3}} {
		f.clock.pass(step.pass)
		f.writeToken(t, "jwt-"+f.clock.now().Format("15:04"))
		if err := f.dataKey(t); err != nil {
			t.Fatal(err)
		}
		if n := f.loginCount(); n != step.logins {
			t.Errorf("after another %s there were %d logins, want %d", step.pass, n, step.logins)
		}
	}
	if want := []string{"jwt-00:00", "jwt-00:11", "jwt-02:20"}; !slices.Equal(f.logins, want) {
		t.Errorf("logged in with %v, want %v", f.logins, want)
	}
}

func TestFailedRenewalLeavesTheOldTokenInUseToItsEnd(t *testing.T) {
	f := newFixture(t)
	if err := f.dataKey(t); err != nil {
		t.Fatal(err)
	}
	f.login = func(w http.ResponseWriter) bool { refuse(w, 503); return true }
	f.clock.pass(11 * time.Minute)
	if err := f.dataKey(t); err != nil {
		t.Errorf("with four minutes left: %v", err)
	}
	f.clock.pass(5 * time.Minute)
	wantIs(t, "at its end", f.dataKey(t), vault.ErrSealed)
}

func TestRefusedCallLogsInOnceMore(t *testing.T) {
	f := newFixture(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("X-Vault-Token") == "token-1" { // its policies are stale
			refuse(w, http.StatusForbidden)
			return
		}
		reply(w, http.StatusOK, dataKeyAnswer())
	}
	if err := f.dataKey(t); err != nil {
		t.Errorf("after a fresh login: %v", err)
	}
	if n := f.loginCount(); n != 2 {
		t.Errorf("logged in %d times", n)
	}
}

func TestRefusalForGoodLogsInOnceAndThenBacksOffForEver(t *testing.T) {
	f := newFixture(t)
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { refuse(w, http.StatusForbidden) }
	for range 20 {
		wantIs(t, "data key", f.dataKey(t), vault.ErrDenied)
	}
	if n := f.loginCount(); n != 2 {
		t.Errorf("logged in %d times at once, want 2", n)
	}
	wantIs(t, "ready", f.client.Ready(), vault.ErrDenied)
	for range 24 * 60 { // a day, a call each minute
		f.clock.pass(time.Minute)
		wantIs(t, "data key", f.dataKey(t), vault.ErrDenied)
	}
	day := f.loginCount()
	if day < 100 || day > 2*24*60+10 {
		t.Errorf("%d logins in a day of refusals", day)
	}
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, http.StatusOK, dataKeyAnswer()) }
	if err := f.dataKey(t); err != nil || f.client.Ready() != nil {
		t.Errorf("when it is allowed again: %v, ready: %v", err, f.client.Ready())
	}
}

func TestRefusedLoginIsNotRepeatedAtOnce(t *testing.T) {
	f := newFixture(t)
	f.login = func(w http.ResponseWriter) bool { refuse(w, http.StatusForbidden); return true }
	for range 50 {
		wantIs(t, "data key", f.dataKey(t), vault.ErrDenied)
	}
	if n := f.loginCount(); n != 1 {
		t.Errorf("logged in %d times without a pause", n)
	}
	f.login = nil
	f.clock.pass(2 * time.Minute)
	if err := f.dataKey(t); err != nil {
		t.Errorf("when it is allowed again: %v", err)
	}
}

func TestSealedVaultIsTriedAgainSoon(t *testing.T) {
	f := newFixture(t)
	f.login = func(w http.ResponseWriter) bool { refuse(w, http.StatusServiceUnavailable); return true }
	for range 30 {
		wantIs(t, "data key", f.dataKey(t), vault.ErrSealed)
		f.clock.pass(10 * time.Second)
	}
	f.login = nil
	f.clock.pass(10 * time.Second)
	if err := f.dataKey(t); err != nil {
		t.Errorf("ten seconds after the unseal: %v", err)
	}
}

func TestTokenFileThatIsMissingEmptyOrHugeIsSaid(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"huge":    func(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) },
	} {
		f := newFixture(t)
		if err := spoil(f.token); err != nil {
			t.Fatal(err)
		}
		wantIs(t, name, f.dataKey(t), vault.ErrUnavailable)
		if f.loginCount() != 0 {
			t.Errorf("%s: it was sent all the same", name)
		}
	}
}

func TestTokenIsGivenBackOnClose(t *testing.T) {
	f := newFixture(t)
	if err := f.dataKey(t); err != nil {
		t.Fatal(err)
	}
	var revoked []string
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		revoked = append(revoked, r.URL.Path+" "+r.Header.Get("X-Vault-Token"))
		w.WriteHeader(http.StatusNoContent)
	}
	f.client.Close(t.Context())
	f.client.Close(t.Context())
	if want := []string{"/v1/auth/token/revoke-self token-1"}; !slices.Equal(revoked, want) {
		t.Errorf("calls are %v, want %v", revoked, want)
	}
}

func TestCalls_AreMeasured(t *testing.T) {
	f := newFixture(t)
	_ = f.dataKey(t)
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { refuse(w, http.StatusServiceUnavailable) }
	_ = f.dataKey(t)
	if want := []string{"login ok", "datakey ok", "datakey sealed"}; !slices.Equal(f.seen.seen, want) {
		t.Errorf("measured %v, want %v", f.seen.seen, want)
	}
}

func TestRetryWaitsForWhatMayPassAndForNothingElse(t *testing.T) {
	f := newFixture(t)
	tries := 0
	err := f.client.Retry(t.Context(), func(context.Context) error {
		if tries++; tries < 3 {
			return vault.ErrSealed
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	for _, final := range []error{vault.ErrErased, vault.ErrNotFound, vault.ErrForeignContent} {
		tries = 0
		err := f.client.Retry(t.Context(), func(context.Context) error { tries++; return final })
		if !errors.Is(err, final) || tries != 1 {
			t.Errorf("%v: %d tries, %v", final, tries, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = f.client.Retry(ctx, func(context.Context) error { cancel(); return vault.ErrSealed })
	if err == nil {
		t.Error("a retry whose context ended succeeds")
	}
}

func TestEnvironmentDoesNotConfigureTheClient(t *testing.T) {
	t.Setenv("VAULT_ADDR", "https://127.0.0.1:1")
	t.Setenv("VAULT_TOKEN", "from the environment")
	t.Setenv("VAULT_NAMESPACE", "elsewhere")
	f := newFixture(t)
	var token, namespace string
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		token, namespace = r.Header.Get("X-Vault-Token"), r.Header.Get("X-Vault-Namespace")
		reply(w, http.StatusOK, dataKeyAnswer())
	}
	if err := f.dataKey(t); err != nil || token != "token-1" || namespace != "" {
		t.Errorf("token %q, namespace %q, %v", token, namespace, err)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	good := vault.Config{
		Vault: contract.Vault{
			Address: "https://vault.test:8200", AuthPath: "kubernetes", KVMount: "kv", TransitMount: "transit", PKIMount: "pki",
		},
		Namespace: "acme", Tenant: "acme-relay", Role: contract.RoleRelay("eu"), TokenPath: "token",
	}
	if _, err := vault.New(good); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for name, spoil := range map[string]func(*vault.Config){
		"http":              func(c *vault.Config) { c.Vault.Address = "http://vault.test" },
		"no host":           func(c *vault.Config) { c.Vault.Address = "https://" },
		"path in address":   func(c *vault.Config) { c.Vault.Address = "https://vault.test/v1" },
		"user in address":   func(c *vault.Config) { c.Vault.Address = "https://a:b@vault.test" },
		"no certificate":    func(c *vault.Config) { c.Vault.CABundle = "none" },
		"no namespace":      func(c *vault.Config) { c.Namespace = "" },
		"namespace's dot":   func(c *vault.Config) { c.Namespace = "a.b" },
		"tenant's slash":    func(c *vault.Config) { c.Tenant = "a/b" },
		"climbing mount":    func(c *vault.Config) { c.Vault.KVMount = "kv/../sys" },
		"query in a mount":  func(c *vault.Config) { c.Vault.TransitMount = "transit?x=1" },
		"no auth path":      func(c *vault.Config) { c.Vault.AuthPath = "" },
		"escaping in mount": func(c *vault.Config) { c.Vault.PKIMount = "pki%2f.." },
	} {
		c := good
		spoil(&c)
		if _, err := vault.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzKeyStateOrATypedError(f *testing.F) {
	f.Add(`{"data":{"type":"aes256-gcm96","latest_version":2,"min_decryption_version":1,"min_encryption_version":0,"min_available_version":0,"auto_rotate_period":86400,"keys":{"1":1700000000,"2":1700086400}}}`)
	f.Add(`{"data":{"keys":{"x":"y"}}}`)
	f.Add(`{"data":{"type":"aes256-gcm96","latest_version":99999999999999999999,"keys":{}}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		fix := newFixture(t)
		fix.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write([]byte(body)) }
		state, err := fix.client.Key(t.Context())
		if err == nil {
			if len(state.Versions) == 0 || state.Latest().Version < state.Oldest().Version {
				t.Errorf("accepted %+v", state)
			}
			return
		}
		if !errors.Is(err, vault.ErrForeignContent) && !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("error is %v", err)
		}
		if len(body) > 20 && strings.Contains(err.Error(), body) {
			t.Error("the error repeats the body")
		}
	})
}
