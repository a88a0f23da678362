package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// business is a real relay with everything that it stands on, and the business's
// own programs: what it gets at its webhook, and its calls of the endpoint.
type business struct {
	jid      string
	endpoint string
	status   string // base URL of the status server
	number   string // id of the phone number
	token    string // the access token
	client   *http.Client
	inbox    chan webhooktest.Update
	statuses chan webhooktest.Update
	start    func(t *testing.T) // starts the relay on what it left
	stop     func(t *testing.T) // ends it
}

// server is what the tests need of an XMPP server.
type server interface {
	Where() (domain, addr string, ca []byte)
	AddAccount(ctx context.Context, user, password string) error
	Restart(ctx context.Context) error
}

// startBusiness runs Vault, an API server that vouches for the relay's token, and
// the relay itself, until the test ends.
func startBusiness(t *testing.T, server server) *business {
	t.Helper()
	domain, addr, ca := server.Where()
	v := vault.StartT(t, vault.Options{})
	token := relayToken(t, v)
	b := &business{jid: goNumber + "@" + domain, inbox: make(chan webhooktest.Update, 1000), statuses: make(chan webhooktest.Update, 1000)}
	hook := httptest.NewTLSServer(http.HandlerFunc(b.webhook))
	t.Cleanup(hook.Close)
	config := contract.Config{
		Version: contract.ConfigVersion, Namespace: "acme", Name: "acme-relay", Region: "eu", PhoneNumber: goNumber,
		Profile: contract.Profile{DisplayName: "Acme"}, Vault: v.Contract(),
		Carrier: contract.Carrier{XMPP: &contract.XMPP{
			Domain: domain, Address: addr, CABundle: string(ca), Registration: "Open",
		}},
		Endpoint: contract.Endpoint{URL: "https://acme-relay.acme.svc:8443", Host: "acme-relay.acme.svc", TLS: contract.TLSFromPKI},
		Webhook: &contract.Webhook{URL: hook.URL, CABundle: string(pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: hook.Certificate().Raw,
		}))},
		RetentionDays: 30, Trust: "blind", Throughput: 80, Rotation: contract.Rotation{Identity: 1, Access: 1},
	}
	b.prepare(t, config, token)
	b.start(t)
	b.waitReady(t)
	waitPublished(t, server)
	b.takeCredentials(t, v)
	return b
}

// waitPublished waits until a stranger finds the relay's keys: Profanity looks for them
// once. The list of devices is the last that a relay publishes.
func waitPublished(t *testing.T, server server) {
	t.Helper()
	number, err := phone.Parse(goNumber)
	check(t, err)
	link, end := logIn(t, server, strangerNumber, xmpp.Open)
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err = link.Devices(ctx, number); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the relay's keys are not published within %s: %v", patience, err)
		}
	}
}

// prepare makes the relay ready to be started and stopped.
func (b *business) prepare(t *testing.T, c contract.Config, token func(context.Context) (string, error)) {
	t.Helper()
	raw, err := json.Marshal(c)
	check(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "relay.json")
	check(t, os.WriteFile(path, raw, 0o600))
	check(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	options := serve.Options{
		ConfigPath: path, Arguments: config.Arguments{Vault: c.Vault, Carrier: c.Carrier}, Version: "dev", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), DataDir: filepath.Join(dir, "data"),
		Token: token, EndpointAddr: "127.0.0.1:0", StatusAddr: "127.0.0.1:0", AllowLinks: netip.Addr.IsLoopback,
	}
	var cancel context.CancelFunc
	var done chan error
	b.start = func(t *testing.T) {
		t.Helper()
		var ctx context.Context
		ctx, cancel = context.WithCancel(context.Background())
		done = make(chan error, 1)
		b.run(ctx, t, options, done)
	}
	b.stop = func(t *testing.T) {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the relay: %v", err)
		}
		done <- nil // stopping it again does nothing
	}
	t.Cleanup(func() { b.stop(t) })
}

// run runs the relay until ctx ends, and returns when it listens.
func (b *business) run(ctx context.Context, t *testing.T, options serve.Options, done chan error) {
	t.Helper()
	addresses := make(chan [2]string, 4)
	options.Listening = func(name string, a net.Addr) { addresses <- [2]string{name, a.String()} }
	go func() { done <- serve.Run(ctx, options) }()
	b.endpoint, b.status = "", ""
	for b.endpoint == "" || b.status == "" {
		select {
		case a := <-addresses:
			if a[0] == "status" {
				b.status = "http://" + a[1]
			} else {
				b.endpoint = a[1]
			}
		case err := <-done:
			done <- nil
			t.Fatalf("the relay ended: %v", err)
		case <-time.After(patience):
			t.Fatalf("the relay does not listen within %s", patience)
		}
	}
}

// webhook is the business's receiver. It answers the handshake and takes delivery.
func (b *business) webhook(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	updates, err := webhooktest.Decode(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, u := range updates {
		if u.Status != "" {
			b.statuses <- u
		} else {
			b.inbox <- u
		}
	}
}

// waitReady waits until every condition of the relay is true.
func (b *business) waitReady(t *testing.T) {
	t.Helper()
	b.number = b.waitReport(t, "ready", func(s contract.Status) bool {
		return !slices.ContainsFunc(s.Conditions, func(c contract.Condition) bool { return c.Status != contract.True })
	}).PhoneNumberID
}

// waitIdle waits until the carrier has taken all that was to be sent: what has no
// status of its own, too.
func (b *business) waitIdle(t *testing.T) {
	t.Helper()
	b.waitReport(t, "idle", func(s contract.Status) bool { return s.Counts.OutboxQueued == 0 })
}

// waitReport waits until what the relay says of itself fits, and returns it.
func (b *business) waitReport(t *testing.T, what string, fits func(contract.Status) bool) contract.Status {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var s contract.Status
		raw, err := fetch(t.Context(), b.status+"/status")
		if err == nil {
			check(t, json.Unmarshal(raw, &s))
		}
		if err == nil && fits(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the relay is not %s within %s: %+v", what, patience, s)
		}
	}
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// takeCredentials reads what `kubectl relay credentials` hands out.
func (b *business) takeCredentials(t *testing.T, v *vault.Server) {
	t.Helper()
	root, err := v.Root()
	check(t, err)
	owner, err := root.KVv2("kv").Get(t.Context(), "acme/acme-relay/owner")
	check(t, err)
	access, err := root.KVv2("kv").Get(t.Context(), fmt.Sprintf("acme/acme-relay/access/%s/1", owner.Data["account"]))
	check(t, err)
	b.token, _ = access.Data["accessToken"].(string)
	chain, err := fetchChain(t.Context(), root)
	check(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(chain) {
		t.Fatal("vault has no authority for endpoints")
	}
	b.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "acme-relay.acme.svc", MinVersion: tls.VersionTLS12},
	}}
	t.Cleanup(b.client.CloseIdleConnections)
}

func fetchChain(ctx context.Context, v *api.Client) ([]byte, error) {
	response, err := v.Logical().ReadRawWithContext(ctx, "pki/ca_chain")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// say sends a text through the endpoint and returns the message's id.
func (b *business) say(t *testing.T, to, text string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"messaging_product": "whatsapp", "to": strings.TrimPrefix(to, "+"), "type": "text", "text": map[string]string{"body": text},
	})
	check(t, err)
	url := fmt.Sprintf("https://%s/v23.0/%s/messages", b.endpoint, b.number)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+b.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := b.client.Do(request)
	check(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	check(t, err)
	var answer struct{ Messages []struct{ ID string } }
	if json.Unmarshal(raw, &answer) != nil || response.StatusCode != http.StatusOK || len(answer.Messages) != 1 {
		t.Fatalf("the endpoint answered %d: %s", response.StatusCode, raw)
	}
	return answer.Messages[0].ID
}

// waitText waits until a text of the customer's is delivered to the webhook.
func (b *business) waitText(t *testing.T, from, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-b.inbox:
			if m.Type != "text" || m.From != strings.TrimPrefix(from, "+") {
				t.Errorf("while waiting for a text, a message of type %s came", m.Type)
			}
			if m.Text == text {
				return
			}
		case <-deadline:
			t.Fatalf("no message %q at the webhook within %s", text, patience)
		}
	}
}

// waitStatus waits until the webhook has told a message's status.
func (b *business) waitStatus(t *testing.T, id, status string) {
	t.Helper()
	b.anyStatus(t, id, status)
}

// outcome waits until the webhook has told whether a message was delivered or
// failed.
func (b *business) outcome(t *testing.T, id string) string {
	t.Helper()
	return b.anyStatus(t, id, "delivered", "failed")
}

// anyStatus waits until the webhook has told one of some statuses of a message.
func (b *business) anyStatus(t *testing.T, id string, statuses ...string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-b.statuses:
			if s.ID == id && slices.Contains(statuses, s.Status) {
				return s.Status
			}
		case <-deadline:
			t.Fatalf("no status %v at the webhook within %s", statuses, patience)
		}
	}
}

// relayToken prepares a Vault for relays and returns a source of the relay's own
// service account tokens, from a real API server.
func relayToken(t *testing.T, v *vault.Server) func(context.Context) (string, error) {
	t.Helper()
	server := apiserver.StartT(t, apiserver.Options{})
	ctx := t.Context()
	_, err := server.Kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}, metav1.CreateOptions{})
	check(t, err)
	check(t, server.AddServiceAccount(ctx, "acme", "acme-relay"))
	reviewer, err := server.AddReviewer(ctx)
	check(t, err)
	root, err := v.Root()
	check(t, err)
	check(t, setup.Apply(ctx, root, setup.Options{
		Region: "eu", KubernetesHost: server.Config.Host, KubernetesCA: string(server.Config.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
	}, nil))
	return func(ctx context.Context) (string, error) {
		return server.Token(ctx, "acme", "acme-relay", contract.AudienceRelay("eu"))
	}
}
