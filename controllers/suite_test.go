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
// its own: Jobs, pods and volumes become what the tests make of them.
var server *testenv.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "-short: the tests that need a real API server are left out")
		return 0
	}
	s, err := testenv.Start(background())
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
