package postgres

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Proxy passes connections on to a server and breaks them when it is told to. It sees only what
// TLS shows: when one side sends.
type Proxy struct {
	Addr string // host:port, where clients connect

	server string
	mu     sync.Mutex            // guards the following fields
	links  map[net.Conn]net.Conn // clients' connections, and the server's
	plans  map[Way]func()
	held   chan struct{} // new connections wait for its end
	closed bool
}

// Way is a direction.
type Way int

// Ways through the proxy.
const (
	ToServer Way = iota
	ToClient
)

// StartProxyT runs a proxy until the test ends.
func StartProxyT(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), server: server, links: make(map[net.Conn]net.Conn), plans: make(map[Way]func()),
		held: make(chan struct{}),
	}
	close(p.held)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Cut()
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

// Break breaks the connection on which something is sent next in a direction, instead of
// passing that on; do runs before, and may be nil.
func (p *Proxy) Break(w Way, do func()) {
	if do == nil {
		do = func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plans[w] = do
}

// Hold lets new connections wait until release is called.
func (p *Proxy) Hold() (release func()) {
	held := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	return sync.OnceFunc(func() { close(held) })
}

// Cut breaks all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for client, server := range p.links {
		_, _ = client.Close(), server.Close()
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	<-held
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.links[client] = server
	closed := p.closed
	p.mu.Unlock()
	if closed {
		_, _ = client.Close(), server.Close()
	}
	var group sync.WaitGroup
	group.Go(func() { p.pass(client, server, ToServer) })
	group.Go(func() { p.pass(server, client, ToClient) })
	group.Wait()
	p.mu.Lock()
	delete(p.links, client)
	p.mu.Unlock()
}

// pass passes on what one side sends, until either is closed.
func (p *Proxy) pass(from, to net.Conn, w Way) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if do := p.plan(w); do != nil {
				do()
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// plan returns what is planned for a direction, once.
func (p *Proxy) plan(w Way) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	do := p.plans[w]
	delete(p.plans, w)
	return do
}
