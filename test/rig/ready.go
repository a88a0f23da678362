package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/hashicorp/vault/api"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/await"
)

// StartReady runs the relay, waits until all of it is well, and gives the business its
// credentials.
func (b *Business) StartReady(change ...func(*serve.Options)) {
	b.t.Helper()
	b.Start(change...)
	b.WaitWell()
	b.WaitReady()
	b.TakeCredentials()
}

// WaitWell waits until every condition is true.
func (b *Business) WaitWell() {
	b.t.Helper()
	for _, kind := range []string{contract.ConditionKeysReady, contract.ConditionCarrierConnected, contract.ConditionWebhookVerified} {
		b.Wait(kind, contract.True, "")
	}
	b.WaitReport("every condition is true", func(s contract.Status) bool {
		return !slices.ContainsFunc(s.Conditions, func(c contract.Condition) bool { return c.Status != contract.True })
	})
}

// WaitReady waits until the endpoint accepts calls.
func (b *Business) WaitReady() {
	b.t.Helper()
	await.Until(b.t, "the relay is ready", func() bool { code, _ := b.Get("/readyz"); return code == http.StatusOK })
}

// Get asks the status server. Its answer is 0 while a process that is kept is started again.
func (b *Business) Get(path string) (int, []byte) {
	b.t.Helper()
	b.mu.Lock()
	url := b.status + path
	b.mu.Unlock()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, http.NoBody)
	check(b.t, err)
	status, body, err := fetch(request)
	if err != nil && b.isKept() {
		return 0, nil
	}
	check(b.t, err)
	return status, body
}

func fetch(request *http.Request) (status int, body []byte, err error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// StatusURL is the base URL of the relay's status server.
func (b *Business) StatusURL() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// isKept says whether there may be no process for a moment.
func (b *Business) isKept() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept
}

// Report returns the relay's /status.
func (b *Business) Report() (s contract.Status) {
	b.t.Helper()
	code, body := b.Get("/status")
	if code == 0 {
		return s
	}
	check(b.t, json.Unmarshal(body, &s))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = s
	return s
}

// WaitReport waits for a report that fits, and returns it.
func (b *Business) WaitReport(what string, fits func(contract.Status) bool) (s contract.Status) {
	b.t.Helper()
	await.Until(b.t, what, func() bool { s = b.Report(); return fits(s) })
	return s
}

// Wait waits until a condition has a status and, unless it is empty, a reason.
func (b *Business) Wait(kind string, status contract.ConditionStatus, reason string) (found contract.Condition) {
	b.t.Helper()
	b.WaitReport(fmt.Sprint(kind, " is ", status, " ", reason), func(s contract.Status) bool {
		i := slices.IndexFunc(s.Conditions, func(c contract.Condition) bool { return c.Type == kind })
		if i >= 0 {
			found = s.Conditions[i]
		}
		return i >= 0 && found.Status == status && (reason == "" || found.Reason == reason)
	})
	return found
}

// AccountUID returns the UID of the relay's service account.
func (b *Business) AccountUID() string {
	b.t.Helper()
	account, err := b.house.Kube.Kube.CoreV1().ServiceAccounts(b.Namespace).Get(b.t.Context(), b.Config.Name, metav1.GetOptions{})
	check(b.t, err)
	return string(account.UID)
}

// TakeCredentials has the business go by what `kubectl relay credentials` hands out.
func (b *Business) TakeCredentials() {
	b.t.Helper()
	tenant := vault.Tenant{KVMount: b.Config.Vault.KVMount, Namespace: b.Namespace, Account: b.Config.Name}
	access, err := tenant.Access(b.t.Context(), b.Root, b.AccountUID(), b.Config.Rotation.Access)
	check(b.t, err)
	b.Expect(access)
	b.Token = access.AccessToken
	b.Hide(access.AccessToken, access.WebhookSecret, access.VerifyToken)
	b.NumberID = b.Report().PhoneNumberID
	b.Authorities, err = endpointCAs(b.t.Context(), b.Root, b.Config.Vault.PKIMount)
	check(b.t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b.Authorities) {
		b.t.Fatal("no authority for endpoints in Vault")
	}
	b.Trust(pool)
}

// endpointCAs returns the authorities that Vault has for endpoints, in PEM.
func endpointCAs(ctx context.Context, root *api.Client, mount string) ([]byte, error) {
	response, err := root.Logical().ReadRawWithContext(ctx, mount+"/ca_chain")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// Trust has the business's client trust an authority's certificates.
func (b *Business) Trust(pool *x509.CertPool) {
	b.Client = &http.Client{Timeout: await.Patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: b.Config.Endpoint.Host, MinVersion: tls.VersionTLS12},
	}}
	b.t.Cleanup(b.Client.CloseIdleConnections)
}
