package admission

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// server is the one API server of this package's tests.
var server *testenv.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "-short: the tests that need a real API server are left out")
		return 0
	}
	s, err := testenv.Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	server = s
	return m.Run()
}
