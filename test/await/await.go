// Package await waits for what a test expects to happen, within a time limit that is
// the same for all tests with real servers.
package await

import (
	"testing"
	"time"
)

// Patience is how long anything that a test waits for may take: long enough for a busy
// machine, since only a test that fails waits that long.
const Patience = 90 * time.Second

// Until returns once holds does, and fails the test if it does not within Patience. It
// must be called on the test's own goroutine.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}
