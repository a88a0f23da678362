package xmpp

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// steady is how long a link must have lasted for the next attempt to come soon.
const steady = 5 * time.Second

// pauses are the pauses between attempts to connect. They grow while links break early,
// and are long when the server refuses the account.
type pauses struct {
	growing, long *backoff.ExponentialBackOff
	refused       bool
}

var _ backoff.BackOff = (*pauses)(nil)

func newPauses(shortest, longest time.Duration) *pauses {
	growing := backoff.NewExponentialBackOff()
	growing.InitialInterval, growing.MaxInterval = shortest, longest
	return &pauses{growing: growing, long: evenly(longest)}
}

// note records how an attempt went.
func (p *pauses) note(refused bool, lasted time.Duration) {
	p.refused = refused
	if lasted > steady {
		p.growing.Reset()
	}
}

// NextBackOff implements backoff.BackOff.
func (p *pauses) NextBackOff() time.Duration {
	next := p.growing.NextBackOff()
	if p.refused {
		return p.long.NextBackOff()
	}
	return next
}

// Reset implements backoff.BackOff.
func (p *pauses) Reset() {
	p.growing.Reset()
	p.long.Reset()
}

// evenly returns pauses of one length, each jittered to 3/4 to 5/4 of it.
func evenly(pause time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: pause, MaxInterval: pause, Multiplier: 1, RandomizationFactor: 0.25}
}
