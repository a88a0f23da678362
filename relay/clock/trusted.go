package clock

import (
	"sync"
	"time"
)

// MaxSkew is how far the node's clock may be from Vault's and still be trusted.
const MaxSkew = 5 * time.Minute

// Trusted is a clock that a wrong setting of the node's clock cannot move: it is the node's clock
// while that agrees with Vault's within MaxSkew, and follows Vault's otherwise. Between two answers
// of Vault it advances with the node's monotonic clock, which a change of the time does not affect;
// a node that slept makes it late, never early. So nothing expires by it before its time. It is
// safe for concurrent use.
type Trusted struct {
	node    func() time.Time
	elapsed func() time.Duration

	mu    sync.Mutex // guards the following fields
	vault time.Time  // what Vault said last; zero: nothing yet
	at    time.Duration
}

// NewTrusted returns a clock over the node's clock; nil means Now. Until Vault's time is known, it
// is the node's clock.
func NewTrusted(node func() time.Time) *Trusted {
	if node == nil {
		node = Now
	}
	began := time.Now()
	return &Trusted{node: node, elapsed: func() time.Duration { return time.Since(began) }}
}

// Set notes Vault's time.
func (t *Trusted) Set(vault time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.vault, t.at = vault, t.elapsed()
}

// Vault returns Vault's time, as far as it is known here; false before Set was called.
func (t *Trusted) Vault() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.vault.IsZero() {
		return time.Time{}, false
	}
	return t.vault.Add(t.elapsed() - t.at), true
}

// Now returns the time by which everything is stamped and expires.
func (t *Trusted) Now() time.Time {
	now := t.node()
	vault, known := t.Vault()
	if known && now.Sub(vault).Abs() > MaxSkew {
		return vault
	}
	return now
}

// Skewed says whether the node's clock and Vault's are known to differ by more than MaxSkew.
func (t *Trusted) Skewed() bool {
	vault, known := t.Vault()
	return known && t.node().Sub(vault).Abs() > MaxSkew
}
