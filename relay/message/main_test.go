package message_test

import (
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/relay/footprint"
)

// TestMain has garbage collected as in a relay's process, for the benchmarks.
func TestMain(m *testing.M) {
	footprint.Keep()
	os.Exit(m.Run())
}
