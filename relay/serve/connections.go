package serve

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many connections the endpoint has at once. One that hangs costs about 50 kB, and a pod
// has 256 MiB unless its business asks for more.
const maxConnections = 512

// connections bounds how many connections a server has: one too many ends the one that has waited longest for
// its client, or else the one whose request is oldest. So clients that hang can neither use up the memory nor
// keep the business out.
type connections struct {
	most int

	mu   sync.Mutex // guards open
	open map[net.Conn]connection
}

type connection struct {
	busy  bool // with a request, as far as it has come
	since time.Time
}

// bound has a server keep to the bound.
func (c *connections) bound(s *http.Server) {
	c.open = map[net.Conn]connection{}
	s.ConnState = c.note
}

// note notes that a connection has another state.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew, http.StateIdle, http.StateActive:
		c.open[conn] = connection{busy: state == http.StateActive, since: time.Now()}
	case http.StateHijacked, http.StateClosed:
		delete(c.open, conn)
	}
	if len(c.open) > c.most {
		victim := c.victim(conn)
		delete(c.open, victim)
		cut(victim)
	}
}

// victim returns the connection to end for the sake of another.
func (c *connections) victim(but net.Conn) (victim net.Conn) {
	var worst connection
	for conn, is := range c.open {
		if conn == but {
			continue
		}
		if victim == nil || worst.busy && !is.busy || worst.busy == is.busy && is.since.Before(worst.since) {
			victim, worst = conn, is
		}
	}
	return victim
}

// cut ends a connection without a word: TLS would wait for a client that hangs.
func cut(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}
