package dataplane_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// business is a tenant with its relay, and the business's own programs.
type business struct {
	t         *testing.T
	namespace string
	number    string
	dir       string
	config    contract.Config
	tlsDir    string

	hook     *httptest.Server
	hookAddr string
	token    string // the access token
	secret   string // that signs webhooks
	verify   string // of the webhook's handshake
	client   *http.Client
	numberID string

	log    journal
	hidden []string // what nothing but the two ends may hold

	mu       sync.Mutex // guards the following fields
	endpoint string
	status   string
	took     time.Duration // from the start to being ready to listen
	down     bool          // the receiver refuses deliveries
	got      []webhooktest.Update
	unsigned int

	stop func()
}

// journal keeps what a relay logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}

// newBusiness makes a tenant whose relay is configured but does not run.
func newBusiness(t *testing.T) *business {
	t.Helper()
	ns, err := shared.kube.Kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "acme-"}}, metav1.CreateOptions{})
	check(t, err)
	check(t, shared.kube.AddServiceAccount(t.Context(), ns.Name, "acme-relay"))
	b := &business{t: t, namespace: ns.Name, number: shared.number(), dir: t.TempDir(), tlsDir: t.TempDir()}
	b.hidden = append(b.hidden, b.number[1:])
	check(t, os.Mkdir(filepath.Join(b.dir, "data"), 0o700))
	b.hook = httptest.NewTLSServer(http.HandlerFunc(b.receive))
	b.hookAddr = b.hook.Listener.Addr().String()
	t.Cleanup(b.hook.Close)
	host := "acme-relay." + ns.Name + ".relay.test"
	b.config = contract.Config{
		Version: contract.ConfigVersion, Namespace: ns.Name, Name: "acme-relay", Region: "eu", PhoneNumber: b.number,
		Profile: contract.Profile{DisplayName: "Acme"}, Vault: shared.vault.Contract(),
		Carrier: contract.Carrier{XMPP: &contract.XMPP{
			Domain: shared.prosody.Domain, Address: shared.prosody.Addr, CABundle: string(shared.prosody.CAPEM), Registration: "Open",
		}},
		Endpoint: contract.Endpoint{URL: "https://" + host, Host: host, TLS: contract.TLSFromPKI},
		Webhook: &contract.Webhook{URL: b.hook.URL, CABundle: string(pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: b.hook.Certificate().Raw,
		}))},
		RetentionDays: 30, Trust: "blind", Throughput: 80, Rotation: contract.Rotation{Identity: 1, Access: 1},
	}
	return b
}

// start runs the relay until stop or the test's end; it need not become ready.
func (b *business) start(change ...func(*serve.Options)) {
	b.t.Helper()
	raw, err := json.Marshal(b.config)
	check(b.t, err)
	path := filepath.Join(b.dir, "relay.json")
	check(b.t, os.WriteFile(path, raw, 0o600))
	begun, up := time.Now(), make(chan struct{})
	o := serve.Options{
		ConfigPath: path, Arguments: config.Arguments{Vault: b.config.Vault, Carrier: b.config.Carrier}, Version: "test", Log: slog.New(slog.NewJSONHandler(&b.log, nil)),
		DataDir: filepath.Join(b.dir, "data"), TLSDir: b.tlsDir, EndpointAddr: "127.0.0.1:0", StatusAddr: "127.0.0.1:0",
		Token: func(ctx context.Context) (string, error) {
			return shared.kube.Token(ctx, b.namespace, "acme-relay", contract.AudienceRelay("eu"))
		},
		Listening: func(name string, a net.Addr) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if name == "status" {
				b.status = "http://" + a.String()
				close(up)
				return
			}
			b.endpoint, b.took = a.String(), time.Since(begun)
		},
	}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve.Run(ctx, o) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("the relay ended with %v", err)
		}
	})
	b.t.Cleanup(b.stop)
	select {
	case <-up:
	case err := <-done:
		done <- nil
		b.t.Fatalf("the relay ended: %v", err)
	}
}

// startReady runs the relay and waits until all of it is well.
func (b *business) startReady() {
	b.t.Helper()
	b.start()
	for _, kind := range []string{contract.ConditionKeysReady, contract.ConditionCarrierConnected, contract.ConditionWebhookVerified} {
		b.wait(kind, contract.True, "")
	}
	b.ready()
	b.takeCredentials()
}

// ready waits until the endpoint takes calls.
func (b *business) ready() {
	b.t.Helper()
	eventually(b.t, "the relay is ready", func() bool { code, _ := b.get("/readyz"); return code == http.StatusOK })
}

// get asks the status server.
func (b *business) get(path string) (int, []byte) {
	b.t.Helper()
	b.mu.Lock()
	url := b.status + path
	b.mu.Unlock()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, http.NoBody)
	check(b.t, err)
	response, err := http.DefaultClient.Do(request)
	check(b.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(b.t, err)
	return response.StatusCode, body
}

// report returns the relay's /status.
func (b *business) report() contract.Status {
	b.t.Helper()
	_, body := b.get("/status")
	var s contract.Status
	check(b.t, json.Unmarshal(body, &s))
	return s
}

// wait waits until a condition has a status and, unless it is empty, a reason.
func (b *business) wait(kind string, status contract.ConditionStatus, reason string) contract.Condition {
	b.t.Helper()
	var last contract.Condition
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		for _, c := range b.report().Conditions {
			if c.Type != kind {
				continue
			}
			last = c
			if c.Status == status && (reason == "" || c.Reason == reason) {
				return c
			}
		}
		<-tick.C
	}
	b.t.Fatalf("%s is not %s %s within %s but %+v\n%s", kind, status, reason, patience, last, b.log.bytes())
	return last
}

// takeCredentials reads what `kubectl relay credentials` hands out.
func (b *business) takeCredentials() {
	b.t.Helper()
	access, err := shared.root.KVv2("kv").Get(b.t.Context(), b.accessAt(b.config.Rotation.Access))
	check(b.t, err)
	b.mu.Lock()
	b.token, _ = access.Data["accessToken"].(string)
	b.secret, _ = access.Data["webhookSecret"].(string)
	b.verify, _ = access.Data["verifyToken"].(string)
	b.mu.Unlock()
	b.hidden = append(b.hidden, b.token, b.secret, b.verify)
	b.numberID = b.report().PhoneNumberID
	response, err := shared.root.Logical().ReadRawWithContext(b.t.Context(), "pki/ca_chain")
	check(b.t, err)
	defer response.Body.Close()
	chain, err := io.ReadAll(response.Body)
	check(b.t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	b.trust(pool)
}

// trust makes the business's client believe in an authority.
func (b *business) trust(pool *x509.CertPool) {
	b.client = &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: b.config.Endpoint.Host, MinVersion: tls.VersionTLS12},
	}}
	b.t.Cleanup(b.client.CloseIdleConnections)
}

// receive is the business's webhook.
func (b *business) receive(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodGet {
		if b.verify != "" && r.URL.Query().Get("hub.verify_token") != b.verify {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get(webhook.SignatureHeader) != webhook.Sign(b.secret, body) {
		b.unsigned++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	updates, err := webhooktest.Decode(body)
	if err != nil {
		b.unsigned++
		return
	}
	b.got = append(b.got, updates...)
}

// setDown has the receiver refuse everything, or take it again.
func (b *business) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// updates returns what the webhook got so far.
func (b *business) updates() []webhooktest.Update {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// waitText waits for a customer's text and returns its update.
func (b *business) waitText(text string) (found webhooktest.Update) {
	b.t.Helper()
	eventually(b.t, "a customer's text at the webhook", func() bool {
		i := slices.IndexFunc(b.updates(), func(u webhooktest.Update) bool { return u.Type == "text" && u.Text == text })
		if i >= 0 {
			found = b.updates()[i]
		}
		return i >= 0
	})
	return found
}

// waitStatus waits for a status of a message.
func (b *business) waitStatus(id, status string) (found webhooktest.Update) {
	b.t.Helper()
	eventually(b.t, "status "+status+" at the webhook", func() bool {
		i := slices.IndexFunc(b.updates(), func(u webhooktest.Update) bool { return u.ID == id && u.Status == status })
		if i >= 0 {
			found = b.updates()[i]
		}
		return i >= 0
	})
	return found
}

// leaks returns how many of the given secrets appear in data, raw, base64 or hex.
func leaks(data []byte, secrets []string) (n int) {
	for _, s := range secrets {
		forms := [][]byte{
			[]byte(s), []byte(hex.EncodeToString([]byte(s))),
			[]byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=")),
			[]byte(strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(s)), "=")),
		}
		if slices.ContainsFunc(forms, func(f []byte) bool { return bytes.Contains(data, f) }) {
			n++
		}
	}
	return n
}

// volume returns all bytes of the relay's volume.
func (b *business) volume() []byte {
	b.t.Helper()
	var all []byte
	check(b.t, filepath.WalkDir(filepath.Join(b.dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		all = append(all, data...)
		return err
	}))
	return all
}
