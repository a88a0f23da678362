package serve

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a connection that says whether it was closed.
type pipe struct {
	net.Conn
	closed bool
}

func (p *pipe) Close() error { p.closed = true; return nil }

func TestConnections_OneTooManyEndsTheLongestIdle(t *testing.T) {
	for _, c := range []struct {
		name   string
		states []http.ConnState // of the connections in the order of their last change
		victim int
	}{
		{"all are new", []http.ConnState{http.StateNew, http.StateNew, http.StateNew}, 0},
		{"some are busy", []http.ConnState{http.StateActive, http.StateIdle, http.StateNew}, 1},
		{"all are busy", []http.ConnState{http.StateActive, http.StateActive, http.StateActive}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(*testing.T) {
				open := &connections{most: 3}
				open.bound(new(http.Server))
				var all []*pipe
				for _, state := range c.states {
					p := new(pipe)
					all = append(all, p)
					open.note(p, http.StateNew)
					open.note(p, state)
					<-time.After(time.Second)
				}
				last := new(pipe)
				open.note(last, http.StateNew)
				for i, p := range append(all, last) {
					if p.closed != (i == c.victim) {
						t.Errorf("connection %d is closed: %t", i, p.closed)
					}
				}
				open.note(all[c.victim], http.StateClosed) // as the server says later
				if open.note(last, http.StateActive); last.closed || len(open.open) != 3 {
					t.Errorf("%d connections are known", len(open.open))
				}
			})
		})
	}
}

func TestConnections_ThatEndedDoNotCount(t *testing.T) {
	open := &connections{most: 1}
	open.bound(new(http.Server))
	for range 3 {
		p := new(pipe)
		open.note(p, http.StateNew)
		open.note(p, http.StateActive)
		if open.note(p, http.StateClosed); p.closed {
			t.Error("the only connection was ended")
		}
	}
}
