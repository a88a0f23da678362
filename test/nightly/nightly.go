// Package nightly lets a test do more of the same where time does not matter: with
// RELAYKEEP_NIGHTLY=1, as `make nightly` sets it. It must not know any test.
package nightly

import "os"

// Or returns how much a test does in a nightly run, or else by day.
func Or[T any](night, day T) T {
	if os.Getenv("RELAYKEEP_NIGHTLY") != "" {
		return night
	}
	return day
}
