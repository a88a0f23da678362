package rig

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/rig/internal/process"
)

// Carrier is an XMPP server where anybody may register.
type Carrier interface {
	Where() (domain, addr string, ca []byte)
}

// Business is a tenant with its relay, and the business's own programs.
type Business struct {
	*Receiver

	Namespace string
	Number    string          // E.164
	Config    contract.Config // with which the relay starts next
	Dir       string          // holds the volume
	Postgres  contract.PostgresServer
	ServerDir string // what PostgreSQL writes is below it; empty for a store on the volume
	TLSDir    string // where the kubelet mounts a certificate of the tenant's own
	Log       Journal

	Root     *api.Client  // of the Vault that the relay uses
	Client   *http.Client // trusts the endpoint's certificate
	Token    string       // the access token
	NumberID string
	// Program is what StartProcess runs, with Dir, instead of the test itself: test/rig/relay, built.
	Program string
	// Authorities are those of the endpoint's certificate, in PEM.
	Authorities []byte

	t     testing.TB
	house *House
	stop  func()

	mu       sync.Mutex // guards the following fields
	endpoint string     // host:port
	status   string     // base URL of the status server
	took     time.Duration
	last     contract.Status
	hidden   []string
	process  *Process      // the relay's, when it has one of its own
	wrong    time.Duration // by how much its node's clock is wrong
	later    time.Duration // by how much every clock is
	kept     bool          // the process is started again whenever it ends
}

// NewBusiness makes a tenant whose relay is configured but does not run. A test that
// fails shows what the relay reported last, and its log.
func (h *House) NewBusiness(t testing.TB, carrier Carrier) *Business {
	t.Helper()
	namespace, account := h.NewTenant(t, "acme")
	b := &Business{
		Receiver: newReceiver(t), Namespace: namespace, Number: h.Number(), Dir: t.TempDir(), TLSDir: t.TempDir(),
		Root: h.Root, t: t, house: h, stop: func() {},
	}
	b.Hide(b.Number[1:])
	check(t, os.Mkdir(b.Volume(), 0o700))
	host := account + "." + namespace + ".relay.test"
	b.Config = h.Config(namespace, account, b.Number, host, carrier, b.server)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the relay's last report is %+v, its log:\n%s", b.last, b.Log.Bytes())
		}
	})
	return b
}

// Limit writes what holds for the relay's first contacts, one of contract's Limits, as the kubelet mounts it. Before that nothing
// is limited.
func (b *Business) Limit(limits string) {
	b.t.Helper()
	raw, err := json.Marshal(contract.Integrity{Version: contract.IntegrityVersion, Limits: limits, Relays: 1})
	check(b.t, err)
	dir := filepath.Join(b.Dir, "integrity")
	check(b.t, os.MkdirAll(dir, 0o700))
	check(b.t, os.WriteFile(filepath.Join(dir, contract.IntegrityFile), raw, 0o600))
}

// Phone is the business's number.
func (b *Business) Phone() phone.Number {
	b.t.Helper()
	n, err := phone.Parse(b.Number)
	check(b.t, err)
	return n
}

// JID is the relay's address at the carrier.
func (b *Business) JID() string { return b.Number + "@" + b.Config.Carrier.XMPP.Domain }

// Volume is the directory of the relay's volume.
func (b *Business) Volume() string { return filepath.Join(b.Dir, "data") }

// ConfigFile is the file that Start writes Config to.
func (b *Business) ConfigFile() string { return filepath.Join(b.Dir, "relay.json") }

// IssueToken has the API server issue a token of the relay's account.
func (b *Business) IssueToken(ctx context.Context, audience string) (string, error) {
	return b.house.Kube.Token(ctx, b.Namespace, b.Config.Name, audience)
}

// Start runs the relay until Stop or the test's end. It returns when the status server
// listens; the relay need not become ready.
func (b *Business) Start(change ...func(*serve.Options)) {
	b.t.Helper()
	begun, up := time.Now(), make(chan struct{})
	o := b.configure()
	o.Log = b.logger()
	o.TLSDir = b.TLSDir
	o.Token = func(ctx context.Context) (string, error) {
		return b.IssueToken(ctx, contract.AudienceRelay(b.Config.Region))
	}
	o.Listening = func(name string, a net.Addr) {
		b.listens(name, a.String())
		if name == "status" {
			close(up)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.took = time.Since(begun)
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

// logger writes all that the relay can log, so that what must not be in a log is looked for in all of it.
func (b *Business) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(&b.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Options are those with which the relay would start now, for its other commands.
func (b *Business) Options() serve.Options {
	b.t.Helper()
	o := b.configure()
	o.Log = b.logger()
	o.Token = func(ctx context.Context) (string, error) {
		return b.IssueToken(ctx, contract.AudienceRelay(b.Config.Region))
	}
	return o
}

// configure writes the relay's configuration and returns options for reading it.
func (b *Business) configure() serve.Options {
	b.t.Helper()
	raw, err := json.Marshal(b.Config)
	check(b.t, err)
	check(b.t, os.WriteFile(b.ConfigFile(), raw, 0o600))
	raw, err = json.Marshal(b.Postgres)
	check(b.t, err)
	check(b.t, os.WriteFile(filepath.Join(b.Dir, process.ServerFile), raw, 0o600))
	return process.Options(b.Dir, config.Arguments{Vault: b.Config.Vault, Carrier: b.Config.Carrier, Postgres: b.Postgres})
}

// listens notes where one of the relay's servers listens.
func (b *Business) listens(name, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name == "status" {
		b.status = "http://" + addr
	} else {
		b.endpoint = addr
	}
}

// Stop ends the relay. Stopping it again does nothing.
func (b *Business) Stop() { b.stop() }

// Endpoint is the host:port at which the relay's endpoint listens.
func (b *Business) Endpoint() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endpoint
}

// Took is how long it took from the last start until the endpoint listened.
func (b *Business) Took() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.took
}
