// Package racing lets exhaustive tests run once: without the race detector, which slows
// what computes down several times. It must not know any test.
package racing

import "testing"

// SkipExhaustive skips a test under the race detector. The test's package must be in
// the Makefile's EXHAUSTIVE, so that its tests run without the detector as well.
func SkipExhaustive(t testing.TB) {
	t.Helper()
	if Enabled {
		t.Skip("exhaustive: it runs without the race detector")
	}
}
