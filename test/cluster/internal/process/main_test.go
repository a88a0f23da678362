package process

import (
	"os"
	"testing"
)

// TestMain lets the test's own program be the first stage of a component, as the real program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Stage {
		_ = Exec(os.Args[2:])
		os.Exit(1)
	}
	os.Exit(m.Run())
}
