//go:build clients

package clients_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// Limits.
const (
	clientTime = 4 * time.Minute // of all rows of one client
	rowTime    = time.Minute

	// confirmTime is how long a client may take to confirm what it shows: many times what
	// those need that do.
	confirmTime = 15 * time.Second

	password = "correct horse battery staple"
	number   = "+491702222222"
	stranger = "+491704444444"
)

var (
	shared *rig.House
	result table
	shots  string // a directory of screenshots

	serverName = flag.String("server", "prosody", "the XMPP server: prosody or ejabberd")

	taken     sync.Mutex // guards addresses
	addresses = map[string]bool{}
)

func TestMain(m *testing.M) {
	os.Exit(rig.Main(func(_ context.Context, h *rig.House) (int, error) {
		shared = h
		var err error
		if shots, err = os.MkdirTemp("", "clients-"); err != nil {
			return 1, err
		}
		code := m.Run()
		fmt.Println(&result)
		fmt.Println("screenshots:", shots)
		return code, nil
	}))
}

// customer is a client that a person uses, driven through what it shows.
type customer interface {
	// Open opens the chat with an address, as an invitation's link does.
	Open(ctx context.Context, jid string) error
	// Encrypt switches encryption on in the open chat.
	Encrypt(ctx context.Context) error
	// Send writes into the open chat.
	Send(ctx context.Context, text string) error
	// WaitText waits until the open chat shows a text of the peer's.
	WaitText(ctx context.Context, text string) error
	SendFile(ctx context.Context, path string) error
	// WaitPicture waits until the open chat shows a picture of the peer's.
	WaitPicture(ctx context.Context) error
	// Screenshot returns a picture of what the client shows, and its file name's ending.
	Screenshot() (picture []byte, ending string, err error)
	Stop()
}

// program is a client that runs on a desktop of its own.
type program interface {
	customer
	LastWords() string // what it printed
}

// seats makes a program the scene's customer until the test's end. Err says why it did not start.
func (s *scene) seats(c program, err error) {
	s.Helper()
	s.customer = c
	s.Cleanup(func() {
		if s.Failed() {
			s.Log(c.LastWords())
		}
		c.Stop()
	})
	if err != nil {
		s.Fatalf("%v\nscreenshot: %s", err, s.shoot("start"))
	}
}

// What not every client can do.
type (
	replier interface {
		Reply(ctx context.Context, to, text string) error
	}
	quoter interface {
		// WaitQuote waits until a text is shown as the answer to another one.
		WaitQuote(ctx context.Context, text, quoted string) error
	}
	accepter interface {
		Accept(ctx context.Context) error // the open chat's contact request
	}
	// reserved encrypts only to contacts who have the user as a contact, too.
	reserved interface {
		accepter
		WaitUnavailable(ctx context.Context) error // until the open chat says so
		// Add adds the open chat's peer as a contact, and accepts the request that comes back.
		Add(ctx context.Context) error
	}
	offerer interface {
		WaitOffered(ctx context.Context) error // until a file waits for its user's click
	}
	corrector interface {
		Correct(ctx context.Context, old, text string) error
	}
	reactor interface {
		React(ctx context.Context, to string) (emoji string, err error)
	}
)

// server is the XMPP server of a scene.
type server interface {
	rig.Carrier
	AddAccount(ctx context.Context, user, password string) error
	WebSocket() string // where Converse connects
}

// scene is a business and a customer at a client.
type scene struct {
	*testing.T
	ctx      context.Context
	client   string
	server   server
	domain   string
	business *rig.Business
	customer customer
	openKeys bool // strangers can read every client's keys, whatever that wants
}

// newScene runs a server and a business. The client is started by the caller. The
// server's address is host:port, and may be empty.
func newScene(t *testing.T, client, address string) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTime)
	t.Cleanup(cancel)
	s := &scene{T: t, ctx: ctx, client: client, server: startServer(t, address), openKeys: *serverName == "ejabberd"}
	s.domain, _, _ = s.server.Where()
	check(t, s.server.AddAccount(ctx, number, password))
	s.business = s.newBusiness()
	return s
}

// startServer runs the server that the flag names.
func startServer(t *testing.T, address string) server {
	t.Helper()
	switch *serverName {
	case "prosody":
		return prosody.StartT(t, prosody.Options{Registration: true, WebSocket: true, Address: address})
	case "ejabberd":
		return ejabberd.StartT(t, ejabberd.Options{Registration: true, WebSocket: true, Address: address})
	}
	t.Fatalf("-server is prosody or ejabberd, not %q", *serverName)
	return nil
}

// desktopScene is newScene for a client that looks for its server by the domain, on port
// 5222. Each has a loopback address of its own.
func desktopScene(t *testing.T, client string) (s *scene, ip string) {
	t.Helper()
	for i := range 200 {
		ip = fmt.Sprintf("127.0.%d.%d", 50+i/100, 2+i%100)
		l, err := net.Listen("tcp", ip+":5222")
		if err != nil {
			continue
		}
		taken.Lock()
		used := addresses[ip]
		addresses[ip] = true
		taken.Unlock()
		check(t, l.Close())
		if !used {
			return newScene(t, client, ip+":5222"), ip
		}
	}
	t.Fatal("port 5222 is in use at all of this machine's addresses")
	return nil, ""
}

// newBusiness runs a relay whose keys can be read.
func (s *scene) newBusiness() *rig.Business {
	s.Helper()
	b := shared.NewBusiness(s.T, s.server)
	b.StartReady()
	s.waitKeys(b.Number)
	return b
}

// waitKeys waits until a stranger can read a number's list of devices.
func (s *scene) waitKeys(number string) {
	s.Helper()
	n, err := phone.Parse(number)
	check(s.T, err)
	own, err := phone.Parse(stranger)
	check(s.T, err)
	domain, addr, ca := s.server.Where()
	link, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: own, Domain: domain, Address: addr, CABundle: ca, Password: password, Resource: "reader"},
		Registration: xmpp.Open,
	})
	check(s.T, err)
	ctx, cancel := context.WithCancel(s.ctx)
	up, done := make(upHandler, 1), make(chan error, 1)
	go func() { done <- link.Run(ctx, up) }()
	defer func() {
		cancel()
		<-done //nolint:errcheck // it was canceled
	}()
	select {
	case <-up:
	case err := <-done:
		done <- err
		s.Fatalf("logging in: %v", err)
	}
	await.Until(s.T, "the keys of a number are published", func() bool {
		devices, err := link.Devices(s.ctx, n, carrier.Legacy)
		return err == nil && len(devices) > 0
	})
}

// upHandler tells when a link is up, and drops everything that arrives.
type upHandler chan struct{}

func (up upHandler) Receive(_ context.Context, events []carrier.Event) error {
	for _, ev := range events {
		if _, ok := ev.(carrier.Connected); ok {
			select {
			case up <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

// run runs a row and compares its outcome with what is expected of this client.
func (s *scene) run(r row, want string, do func(s *scene) (outcome string)) {
	s.Run(strings.ReplaceAll(string(r), " ", "-"), func(t *testing.T) {
		inner := *s
		inner.T = t
		ctx, cancel := context.WithTimeout(s.ctx, rowTime)
		defer cancel()
		inner.ctx = ctx
		outcome := "did not come to an end"
		defer func() {
			result.note(s.client, r, outcome)
			if outcome != want {
				t.Errorf("%s, %s: %s; want: %s\nscreenshot: %s", s.client, r, outcome, want, s.shoot(string(r)))
			}
		}()
		outcome = do(&inner)
	})
}

// shoot writes a screenshot and returns its path.
func (s *scene) shoot(name string) string {
	picture, ending, err := s.customer.Screenshot()
	if err != nil {
		return "none: " + err.Error()
	}
	path := filepath.Join(shots, strings.ReplaceAll(s.client+"-"+name, " ", "-")+ending)
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		return "none: " + err.Error()
	}
	return path
}

// outcome is works without an error.
func outcome(errs ...error) string {
	if err := errors.Join(errs...); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return works
}

// message waits for the next message that the business gets and that fits.
func (s *scene) message(b *rig.Business, what string, fits func(webhooktest.Update) bool) (m webhooktest.Update, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, u := range b.Updates() {
			if fits(u) {
				return u, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			var got []string
			for _, u := range b.Updates() {
				got = append(got, fmt.Sprintf("%s %s %q %s", u.Type, u.Status, u.Text, u.Details))
			}
			return m, fmt.Errorf("the business does not get %s; it got: %s", what, strings.Join(got, ", "))
		}
	}
}

// text waits for an encrypted text at the business.
func (s *scene) text(b *rig.Business, text string) (webhooktest.Update, error) {
	m, err := s.message(b, "the text "+text, func(u webhooktest.Update) bool { return u.Type == "text" && strings.Contains(u.Text, text) })
	switch {
	case err != nil:
	case m.Unencrypted:
		err = errors.New("the text was not encrypted")
	case m.Text != text:
		err = fmt.Errorf("the business gets %q", m.Text)
	}
	return m, err
}

// errUnreachable is error 131026: the relay cannot write to the customer.
var errUnreachable = errors.New("the message failed with 131026")

// status waits for what became of a message of the business's.
func (s *scene) status(id string, statuses ...string) error {
	m, err := s.message(s.business, strings.Join(statuses, " or "), func(u webhooktest.Update) bool {
		return u.ID == id && (u.Status == "failed" || slices.Contains(statuses, u.Status))
	})
	if err == nil && m.Status == "failed" && m.Code == 131026 {
		return errUnreachable
	}
	if err == nil && m.Status == "failed" {
		err = fmt.Errorf("the message failed: %d %s", m.Code, m.Details)
	}
	return err
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
