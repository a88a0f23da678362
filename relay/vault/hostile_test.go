package vault_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// secret is what hostile answers contain: no error may repeat it.
const secret = "s.hostileSecretBody"

// answerer is a server that answers like a Vault gone wrong. Real behaviour is tried
// against a real Vault, in test/keys.
type answerer struct {
	*httptest.Server
	mu     sync.Mutex
	logins []string // the service account tokens presented
	ttl    int
	calls  int
	answer func(w http.ResponseWriter, r *http.Request, call int) // to anything but a login
	login  func(w http.ResponseWriter) bool                       // true: it answered
}

func newAnswerer(t *testing.T) *answerer {
	t.Helper()
	a := &answerer{ttl: 900}
	a.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, http.StatusOK, dataKeyAnswer()) }
	a.Server = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

// answers sets how it answers from now on to anything but a login.
func (a *answerer) answers(answer func(w http.ResponseWriter, r *http.Request, call int)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *answerer) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !strings.HasSuffix(r.URL.Path, "/login") {
		a.calls++
		a.answer(w, r, a.calls)
		return
	}
	var body struct{ JWT, Role string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	a.logins = append(a.logins, body.JWT)
	if a.login != nil && a.login(w) {
		return
	}
	reply(w, http.StatusOK, map[string]any{"auth": map[string]any{
		"client_token": fmt.Sprintf("token-%d", len(a.logins)), "lease_duration": a.ttl,
	}})
}

func (a *answerer) loginCount() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.logins)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int) {
	reply(w, status, map[string]any{"errors": []string{"permission denied " + secret}})
}

func dataKeyAnswer() map[string]any {
	return map[string]any{"data": map[string]any{
		"plaintext": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "ciphertext": "vault:v1:abc",
	}}
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type fixture struct {
	*answerer
	client *vault.Client
	clock  *clock
	token  string // path of the token's file
	seen   *observer
}

type observer struct {
	mu   sync.Mutex
	seen []string
}

func (o *observer) VaultCall(operation, outcome string, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, operation+" "+outcome)
}

func (a *answerer) contract() contract.Vault {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	return contract.Vault{
		Address: a.URL, CABundle: string(ca), AuthPath: "kubernetes", KVMount: "kv", TransitMount: "transit", PKIMount: "pki",
	}
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		answerer: newAnswerer(t), clock: &clock{at: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		token: filepath.Join(t.TempDir(), "token"), seen: &observer{},
	}
	f.writeToken(t, "jwt-1")
	var err error
	f.client, err = vault.New(vault.Config{
		Vault: f.contract(), Namespace: "acme", Tenant: "acme-relay", Role: contract.RoleRelay("eu"),
		TokenPath: f.token, Now: f.clock.now, Observer: f.seen,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) writeToken(t *testing.T, token string) {
	t.Helper()
	if err := os.WriteFile(f.token, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) dataKey(t *testing.T) error {
	t.Helper()
	_, _, err := f.client.DataKey(t.Context())
	return err
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error is %v, want %v", what, err, target)
	}
}

func TestHostileAnswersAreTypedAndNeverRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   error
	}{
		"refused":        {func(w http.ResponseWriter) { refuse(w, 403) }, vault.ErrDenied},
		"sealed":         {func(w http.ResponseWriter) { refuse(w, 503) }, vault.ErrSealed},
		"failing":        {func(w http.ResponseWriter) { refuse(w, 500) }, vault.ErrUnavailable},
		"limiting":       {func(w http.ResponseWriter) { refuse(w, 429) }, vault.ErrUnavailable},
		"unknown status": {func(w http.ResponseWriter) { refuse(w, 418) }, vault.ErrForeignContent},
		"bad request":    {func(w http.ResponseWriter) { refuse(w, 400) }, vault.ErrForeignContent},
		"no JSON":        {func(w http.ResponseWriter) { _, _ = io.WriteString(w, secret) }, vault.ErrForeignContent},
		"half JSON":      {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"data":{"plaintext":"`+secret) }, vault.ErrForeignContent},
		"nothing":        {func(http.ResponseWriter) {}, vault.ErrForeignContent},
		"no data":        {func(w http.ResponseWriter) { reply(w, 200, map[string]any{"x": secret}) }, vault.ErrForeignContent},
		"error as HTML": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>"+secret)
		}, vault.ErrUnavailable},
		"half a key":      {withData("plaintext", "AAAA"), vault.ErrForeignContent},
		"no base64":       {withData("plaintext", secret), vault.ErrForeignContent},
		"a number as key": {withData("plaintext", 7), vault.ErrForeignContent},
		"no wrapping":     {withData("ciphertext", secret), vault.ErrForeignContent},
		"huge":            {huge, vault.ErrForeignContent},
		"elsewhere": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.test/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, vault.ErrUnavailable},
		"too old a version": {says("ciphertext or signature version is disallowed by policy (too old)"), vault.ErrErased},
		"too new a version": {says("invalid ciphertext: version is too new"), vault.ErrErased},
		"another key":       {says("cipher: message authentication failed"), vault.ErrErased},
		"no such key":       {says("encryption key not found"), vault.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { c.answer(w) }
			err := f.dataKey(t)
			wantIs(t, "data key", err, c.want)
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "permission denied")) {
				t.Errorf("the error repeats what the server said: %v", err)
			}
		})
	}
}

func withData(name string, value any) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		answer := dataKeyAnswer()
		answer["data"].(map[string]any)[name] = value //nolint:forcetypeassert // as dataKeyAnswer makes it
		reply(w, http.StatusOK, answer)
	}
}

func says(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { reply(w, http.StatusBadRequest, map[string]any{"errors": []string{text}}) }
}

func huge(w http.ResponseWriter) {
	_, _ = io.WriteString(w, `{"data":{"plaintext":"`)
	for range 40 {
		_, _ = io.WriteString(w, strings.Repeat(secret, 3000))
	}
	_, _ = io.WriteString(w, `"}}`)
}

func TestHostileLoginsAreTyped(t *testing.T) {
	for name, c := range map[string]struct {
		login func(http.ResponseWriter)
		want  error
	}{
		"refused":  {func(w http.ResponseWriter) { refuse(w, 403) }, vault.ErrDenied},
		"sealed":   {func(w http.ResponseWriter) { refuse(w, 503) }, vault.ErrSealed},
		"no token": {func(w http.ResponseWriter) { reply(w, 200, map[string]any{"data": nil}) }, vault.ErrForeignContent},
		"endless token": {func(w http.ResponseWriter) {
			reply(w, 200, map[string]any{"auth": map[string]any{"client_token": "x"}})
		}, vault.ErrForeignContent},
		"no JSON at all": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, secret) }, vault.ErrForeignContent},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.login = func(w http.ResponseWriter) bool { c.login(w); return true }
			wantIs(t, "data key", f.dataKey(t), c.want)
		})
	}
}

func TestSlowVaultIsUnavailableAndTheCallersTimeCounts(t *testing.T) {
	f := newFixture(t)
	release := make(chan struct{})
	defer close(release)
	f.answer = func(http.ResponseWriter, *http.Request, int) { <-release }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := f.client.DataKey(ctx)
	wantIs(t, "data key", err, vault.ErrUnavailable)
	wantIs(t, "data key", err, context.DeadlineExceeded)
}

func TestUnreachableVaultIsUnavailable(t *testing.T) {
	f := newFixture(t)
	f.Close()
	wantIs(t, "data key", f.dataKey(t), vault.ErrUnavailable)
}

func TestServerWithAnotherAuthorityIsNotTalkedTo(t *testing.T) {
	f, other := newFixture(t), newAnswerer(t)
	v := f.contract()
	v.Address = other.URL
	// httptest signs all servers with one key: trust another's certificate instead.
	v.CABundle = selfSigned(t)
	c, err := vault.New(vault.Config{Vault: v, Namespace: "acme", Tenant: "acme-relay", Role: "r", TokenPath: f.token})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.DataKey(t.Context())
	wantIs(t, "data key", err, vault.ErrUnavailable)
	if other.loginCount() != 0 {
		t.Error("the service account token was sent to a server that is not trusted")
	}
}

func TestRegistrationToken_MayBeLeftOutOrEmptied(t *testing.T) {
	for name, c := range map[string]struct {
		token any // nil: it is left out
		want  string
		err   error
	}{
		"left out":  {nil, "", nil},
		"emptied":   {"", "", nil},
		"there":     {"invitation", "invitation", nil},
		"no text":   {7, "", vault.ErrForeignContent},
		"very long": {strings.Repeat(secret, 1000), "", vault.ErrForeignContent},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			account := map[string]any{"username": "+15550001111", "password": "password"}
			if c.token != nil {
				account["registrationToken"] = c.token
			}
			f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
				reply(w, http.StatusOK, map[string]any{"data": map[string]any{"data": account}})
			}
			got, err := f.client.CarrierAccount(t.Context(), phone.Number{})
			wantIs(t, "reading the account", err, c.err)
			if got.RegistrationToken != c.want {
				t.Errorf("the token has %d bytes, want %d", len(got.RegistrationToken), len(c.want))
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}
