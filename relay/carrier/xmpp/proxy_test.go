package xmpp

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between carriers and a server. It forwards until it is told to cut.
type proxy struct {
	addr, server string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	down  bool                              // refuse
	limit func() (toServer, toClient int64) // bytes of the next connection, 0: no limit
}

func newProxy(t testing.TB, s server) *proxy {
	t.Helper()
	_, server, _ := s.Where()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), server: server, conns: map[net.Conn]struct{}{}}
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.forward(conn)
		}
	}()
	return p
}

func (p *proxy) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var up, down int64
	p.mu.Lock()
	refuse := p.down
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	if p.limit != nil {
		up, down = p.limit()
	}
	p.mu.Unlock()
	if refuse {
		return
	}
	var wg sync.WaitGroup
	pipe := func(to, from net.Conn, limit int64) {
		if limit > 0 {
			_, _ = io.CopyN(to, from, limit)
		} else {
			_, _ = io.Copy(to, from)
		}
		_, _ = to.Close(), from.Close()
	}
	wg.Go(func() { pipe(server, client, up) })
	wg.Go(func() { pipe(client, server, down) })
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// cut breaks all connections, without a word to either side's protocol.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// refuse makes the proxy refuse connections, or accept them again.
func (p *proxy) refuse(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.cut()
	}
}
