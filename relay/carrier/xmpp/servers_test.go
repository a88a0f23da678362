package xmpp

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// server is a real XMPP server: Prosody or ejabberd.
type server interface {
	Where() (domain, addr string, ca []byte)
	AddAccount(ctx context.Context, user, password string) error
	Start(ctx context.Context) error
	Restart(ctx context.Context) error
	Stop()
	Kill()
	Freeze()
	Thaw()
}

// sharedDomains is how many tests may have a domain of their own at the ejabberd
// that they share: it takes seconds to start.
const (
	sharedDomains = 40
	// forContacts is one more domain, where clients may show their keys to contacts alone. It
	// is for one test.
	forContacts = "contacts.test"
)

// shared is the ejabberd of the tests that leave it running.
type shared struct {
	once sync.Once
	*ejabberd.Server
	err  error
	next atomic.Int32
}

var common shared

func (s *shared) start() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "ejabberd-")
	if err != nil {
		s.err = err
		return
	}
	var domains []string
	for i := range sharedDomains {
		domains = append(domains, fmt.Sprintf("d%d.test", i))
	}
	s.Server, s.err = ejabberd.Start(ctx, dir, ejabberd.Options{Domains: append(domains, forContacts), ForContacts: []string{forContacts}, Registration: true})
}

func TestMain(m *testing.M) {
	code := m.Run()
	if common.Server != nil {
		common.Stop()
		_ = os.RemoveAll(common.Dir)
	}
	os.Exit(code)
}

// domain is the shared server with a domain that nobody else uses.
type domain struct {
	*ejabberd.Server
	name string
}

func (d domain) Where() (string, string, []byte) { return d.name, d.Addr, d.CAPEM }

// share returns the shared ejabberd as a server of a domain of one's own.
func share(t testing.TB) server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs ejabberd, and -short asks for no servers")
	}
	startCommon(t)
	next := common.next.Add(1) - 1
	if next >= sharedDomains {
		t.Fatal("too many tests share a server: raise sharedDomains, or lower -count")
	}
	return domain{common.Server, fmt.Sprintf("d%d.test", next)}
}

func startCommon(t testing.TB) {
	t.Helper()
	common.once.Do(common.start)
	if common.err != nil {
		t.Fatal(common.err)
	}
}

// onServersForContacts is onServers where clients may show their keys to contacts alone.
func onServersForContacts(t *testing.T, test func(t *testing.T, s server)) {
	t.Helper()
	onBoth(t, test,
		func(t *testing.T) server { return prosody.StartT(t, prosody.Options{Registration: true}) },
		func(t *testing.T) server {
			if testing.Short() {
				t.Skip("needs ejabberd, and -short asks for no servers")
			}
			startCommon(t)
			return domain{common.Server, forContacts}
		})
}

// onServers runs a test on both servers, where anybody may register. It must leave the
// server running.
func onServers(t *testing.T, test func(t *testing.T, s server)) {
	t.Helper()
	onBoth(t, test,
		func(t *testing.T) server { return prosody.StartT(t, prosody.Options{Registration: true}) },
		func(t *testing.T) server { return share(t) })
}

// onOwnServers runs a test on servers of its own, which it may stop and freeze.
func onOwnServers(t *testing.T, registration bool, test func(t *testing.T, s server)) {
	t.Helper()
	onBoth(t, test,
		func(t *testing.T) server { return prosody.StartT(t, prosody.Options{Registration: registration}) },
		func(t *testing.T) server { return ejabberd.StartT(t, ejabberd.Options{Registration: registration}) })
}

// onBoth runs a test on a Prosody and an ejabberd, at the same time as others: they mostly
// wait.
func onBoth(t *testing.T, test func(t *testing.T, s server), prosody, ejabberd func(t *testing.T) server) {
	t.Helper()
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) server{"prosody": prosody, "ejabberd": ejabberd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}
