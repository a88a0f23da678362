// Package faultproxy is a proxy between an XMPP client and its server that sees the
// stanzas in between, so that a test can break the link at each of them: it ends TLS
// on both sides with an authority of its own. It must not know what the stanzas say.
package faultproxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/lab/authority"
)

// Way is where an element goes.
type Way int

// The ways.
const (
	ToServer Way = iota
	ToClient
)

// Fault is what becomes of the link at an element.
type Fault int

// The faults.
const (
	// Pass forwards the element.
	Pass Fault = iota
	// Drop resets the link instead of forwarding the element.
	Drop
	// Reset resets the link after the element was forwarded.
	Reset
	// Swallow forwards the element and nothing that comes back: the link is reset
	// when the other side answers, or after a while. A server took a stanza, and its
	// acknowledgement is lost.
	Swallow
	// Delay holds the element up for a moment, and all that follows.
	Delay
	// Omit forwards all but the element.
	Omit
	// Tear forwards half of the element, and ends the link.
	Tear
)

// Faults are those that break the link, and Delay.
func Faults() []Fault { return []Fault{Drop, Reset, Swallow, Delay} }

func (f Fault) String() string {
	return [...]string{"pass", "drop", "reset", "swallow", "delay", "omit", "tear"}[f]
}

// How long a delayed element waits, and a swallowed answer is waited for.
const (
	delay   = 50 * time.Millisecond
	swallow = 150 * time.Millisecond
)

// Plan says what becomes of the link at an element. It is called once for each, from
// several goroutines.
type Plan func(way Way, element []byte) Fault

// Proxy is a running proxy.
type Proxy struct {
	Addr  string // host:port, where clients connect
	CAPEM []byte // of the authority that vouches for the proxy to clients

	domain, server string
	front, back    *tls.Config

	mu    sync.Mutex
	plan  Plan
	conns map[net.Conn]struct{}
}

// server is what a proxy needs to know of the server behind it.
type server interface {
	Where() (domain, addr string, ca []byte)
}

// Where says what a client needs to know to connect through the proxy.
func (p *Proxy) Where() (domain, addr string, ca []byte) { return p.domain, p.Addr, p.CAPEM }

// StartT runs a proxy in front of a server until the test ends. It passes everything
// until it is told a plan.
func StartT(t testing.TB, s server) *Proxy {
	t.Helper()
	p := &Proxy{conns: map[net.Conn]struct{}{}, plan: pass}
	var ca []byte
	p.domain, p.server, ca = s.Where()
	own, err := authority.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files, err := own.Server("proxy", p.domain)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	p.CAPEM = []byte(own.PEM())
	p.front = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	p.back = &tls.Config{ServerName: p.domain, RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	p.back.RootCAs.AppendCertsFromPEM(ca)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Addr = l.Addr().String()
	var group sync.WaitGroup
	group.Go(func() { p.serve(l, &group) })
	t.Cleanup(func() { _ = l.Close(); p.Cut(); group.Wait() })
	return p
}

func pass(Way, []byte) Fault { return Pass }

func (p *Proxy) serve(l net.Listener, group *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		group.Go(func() { p.handle(conn) })
	}
}

// Follow has a plan be followed from now on.
func (p *Proxy) Follow(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Cut resets all links.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

// reset ends a connection without a word to either protocol on it.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// pair is one link: both connections below TLS, and TLS on them.
type pair struct {
	client, server net.Conn
	inner          [2]net.Conn // by Way: where an element comes from
	once           sync.Once
	swallowed      [2]atomic.Bool // by Way: nothing more goes that way
}

func (l *pair) reset() { l.once.Do(func() { reset(l.client); reset(l.server) }) }

// end ends both connections so that what was written to them arrives.
func (l *pair) end() {
	for _, c := range []net.Conn{l.client, l.server} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}
	<-time.After(delay)
	l.reset()
}

func (p *Proxy) handle(client net.Conn) {
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
	}()
	l := &pair{client: client, server: server}
	front, err := p.acceptTLS(ctx, client)
	if err != nil {
		return
	}
	back, err := p.startTLS(ctx, server)
	if err != nil {
		return
	}
	l.inner = [2]net.Conn{ToServer: front, ToClient: back}
	var group sync.WaitGroup
	group.Go(func() { p.forward(l, ToServer) })
	group.Go(func() { p.forward(l, ToClient) })
	group.Wait()
}

// forward forwards elements one way until the link ends.
func (p *Proxy) forward(l *pair, way Way) {
	defer l.reset()
	from, to := l.inner[way], l.inner[1-way]
	elements := newSplitter(from)
	for {
		e, err := elements.next()
		if err != nil {
			return
		}
		if l.swallowed[way].Load() {
			return // the answer that is lost
		}
		p.mu.Lock()
		fault := p.plan(way, e)
		p.mu.Unlock()
		switch fault {
		case Drop:
			return
		case Omit:
			continue
		case Tear:
			_, _ = to.Write(e[:len(e)/2])
			l.end()
			return
		case Delay:
			<-time.After(delay)
		case Swallow:
			l.swallowed[1-way].Store(true)
			time.AfterFunc(swallow, l.reset)
		case Pass, Reset:
		}
		if _, err := to.Write(e); err != nil || fault == Reset {
			return
		}
	}
}

// errNegotiation says that one side did not start TLS as expected.
var errNegotiation = errors.New("no TLS was negotiated")
