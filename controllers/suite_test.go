package controllers_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// server is the one API server of this package's tests. It has no controllers of
// its own: Jobs, pods and volumes become what the tests make of them. With -short it
// is in memory.
var server *testenv.Server

// onServer skips a test with -short that needs what only a real API server does: refuse,
// set the defaults of Kubernetes' own kinds, serve other kinds, or run a manager.
func onServer(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server, and -short asks for no servers")
	}
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	start := testenv.Start
	if testing.Short() {
		start = testenv.InMemory
	}
	s, err := start(background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server = s
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// background is for cleaning up, when a test's own context has ended.
func background() context.Context { return context.Background() }
