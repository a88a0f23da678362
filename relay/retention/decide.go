// Package retention is the janitor: it decides which versions of a tenant's wrapping key must be
// destroyed so that nothing stays readable for longer than the retention, and makes Vault destroy
// them. The order is safe to interrupt at any point, and two may run at once. The janitor can
// decrypt nothing, knows no content, and needs no running relay.
package retention

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/vault"
)

// Interval is the time between two runs of the janitor.
const Interval = time.Hour

// plan is what one run has to do.
type plan struct {
	// finishTrim, when not 0, is the version below which an earlier run was about to destroy
	// all when it was interrupted.
	finishTrim int
	// rotate says that even the latest version is due: a new one comes first.
	rotate bool
	// keep is the lowest version that stays. With rotate, it is decided after that.
	keep int
}

// decide makes the plan. A version is due when its creation plus the retention is no later than
// the next run: if it were left until then, what was sealed under it in its first moments would
// outlive the retention. Everything that a version wrapped was wrapped after its creation, so
// nothing is destroyed too late.
func decide(state vault.KeyState, retention time.Duration, next time.Time) plan {
	var p plan
	// A version that is refused but not yet destroyed is the trace of a run that
	// ended between the two; its time is no longer listed, but it was due then.
	if state.MinAvailable < state.MinDecryption && state.MinDecryption > 1 {
		p.finishTrim = state.MinDecryption
	}
	for _, v := range state.Versions {
		if v.Created.Add(retention).After(next) {
			p.keep = v.Version
			return p
		}
	}
	p.rotate = true
	return p
}
