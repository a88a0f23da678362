package serve

import (
	"net/http"
	"sync"
	"time"
)

// transferTime bounds the handing out or taking in of a relay's file.
const transferTime = time.Hour

// mover answers at contract.MovePath. It does one thing at a time.
type mover struct {
	mu   sync.Mutex
	do   http.Handler  // nil: the relay is not ready for it
	busy chan struct{} // holds one element while a request runs
}

func (m *mover) set(h http.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do, m.busy = h, make(chan struct{}, 1)
}

// ServeHTTP implements http.Handler.
func (m *mover) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	m.mu.Lock()
	h, busy := m.do, m.busy
	m.mu.Unlock()
	if h == nil {
		plain(w, http.StatusServiceUnavailable, "the relay is starting: see KeysReady")
		return
	}
	select {
	case busy <- struct{}{}:
		defer func() { <-busy }()
	default:
		plain(w, http.StatusConflict, "another request for the relay's file is running")
		return
	}
	control, until := http.NewResponseController(w), time.Now().Add(transferTime)
	_ = control.SetWriteDeadline(until) // the connection of a server always can
	_ = control.SetReadDeadline(until)
	h.ServeHTTP(w, req)
}
