// Package racing lets exhaustive tests run once: without the race detector, which slows
// what computes down several times, and not in a quick check. It must not know any test.
package racing

import "testing"

// SkipExhaustive skips a test with -short and under the race detector. Call it in the test
// function itself: by that, as by Enabled, `make test` finds which tests to run without the
// detector as well.
func SkipExhaustive(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("exhaustive: it runs without -short")
	}
	if Enabled {
		t.Skip("exhaustive: it runs without the race detector")
	}
}
