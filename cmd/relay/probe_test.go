package main

import (
	"context"
	"net"
	"strings"
	"testing"
)

// place is a place where something listens, and one where nothing does any more.
func place(t *testing.T, open bool) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if open {
		t.Cleanup(func() { _ = listener.Close() })
	} else {
		_ = listener.Close()
	}
	return listener.Addr().String()
}

func TestProbe_SaysWhatItReached(t *testing.T) {
	open, closed := place(t, true), place(t, false)
	for name, c := range map[string]struct{ open, closed []string }{
		"as it should be": {[]string{open}, []string{closed}},
		"the other way":   {[]string{closed}, []string{open}},
		"nothing to keep": {nil, []string{open, closed}},
	} {
		t.Run(name, func(t *testing.T) {
			ended, end := context.WithCancel(t.Context())
			end() // one attempt only
			reached := probePlaces(ended, c.open, c.closed)
			if len(reached) != 2 || !reached[open] || reached[closed] {
				t.Errorf("it reached %v", reached)
			}
		})
	}
}

// TestProbe_WaitsForThePolicy closes a place only after the first attempt, as a network policy does that comes late.
func TestProbe_WaitsForThePolicy(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.Close()
		}
		_ = listener.Close()
	}()
	at := listener.Addr().String()
	if reached := probePlaces(t.Context(), nil, []string{at}); reached[at] {
		t.Errorf("it reached %v", reached)
	}
}

func TestProbe_RefusesWhatIsNoPlace(t *testing.T) {
	for _, args := range [][]string{{}, {"--open=host"}, {"--open=:443"}, {"--closed=host:"}, strings.Fields(strings.Repeat("--open=host:1 ", maxProbed+1))} {
		if out, err := run(t, append([]string{"probe"}, args...)...); err == nil {
			t.Errorf("%v: %v", args, out)
		}
	}
}
