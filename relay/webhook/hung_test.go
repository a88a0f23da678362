package webhook_test

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// hole is a network on the way to a server, on which connections come to hang: what is sent is lost, and nobody is
// told.
type hole struct {
	net.Listener
	server string

	mu     sync.Mutex // guards the following fields
	opened int
	lost   int // the connections up to this one hang
}

func newHole(t *testing.T, server string) *hole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{Listener: l, server: server}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			h.connect(in)
		}
	}()
	return h
}

func (h *hole) connect(in net.Conn) {
	out, err := net.Dial("tcp", h.server)
	if err != nil {
		_ = in.Close()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened++
	n := h.opened
	for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			defer ends[1].Close()
			_, _ = io.Copy(writer(func(b []byte) (int, error) {
				if h.swallows(n) {
					return len(b), nil
				}
				return ends[1].Write(b)
			}), ends[0])
		}()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (h *hole) swallows(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return n <= h.lost
}

// lose has all connections hang that are open now.
func (h *hole) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = h.opened
}

// Without pings each delivery would wait on the same connection until its time is up.
func TestConnection_ThatHangsIsNotUsedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as it takes to notice, 15 s")
	}
	t.Parallel()
	c := newConnected(t, true, tls.NoClientCert)
	h, to := newHole(t, c.Listener.Addr().String()), c.as()
	to.URL = "https://" + h.Addr().String()
	f := deliver(t, to).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	if !f.work(t.Context(), job(1)).Done || c.major.Load() != 2 {
		t.Fatalf("nothing was delivered over HTTP/%d", c.major.Load())
	}
	h.lose()
	if f.work(t.Context(), job(2)).Done {
		t.Fatal("a delivery arrived through the hole")
	}
	if !f.work(t.Context(), job(2)).Done {
		t.Error("the next delivery used the connection that hangs")
	}
}
