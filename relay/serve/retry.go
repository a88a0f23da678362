package serve

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Pauses between attempts to get what a relay needs to start.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// patiently retries until the context ends: a relay that starts while Vault is unreachable waits
// for it.
func patiently() []backoff.RetryOption {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = firstPause, lastPause, 2
	return []backoff.RetryOption{backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0)}
}
