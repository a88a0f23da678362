package admission

import (
	"fmt"
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// server is the one API server of this package's tests.
var server *testenv.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	s, err := testenv.Start()
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
