package cloudapi

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// The pair limit: one message per pairInterval to one customer, with bursts of up to pairBurst
// (about-the-platform, "pair rate limits").
const (
	pairInterval = 6 * time.Second
	pairBurst    = 45
)

// limits holds the rate limits of a number.
type limits struct {
	throughput *rate.Limiter

	mu sync.Mutex
	// full says when each customer's bucket is full again; a full bucket has no entry. mu
	// guards it and sweepAt.
	full    map[phone.Number]time.Time
	sweepAt int
}

// minSweep is how many buckets there must be before full ones are removed.
const minSweep = 1024

func newLimits(perSecond int) *limits {
	return &limits{
		throughput: rate.NewLimiter(rate.Limit(perSecond), perSecond),
		full:       map[phone.Number]time.Time{},
		sweepAt:    minSweep,
	}
}

// take counts one message to a customer, or says how long to wait.
func (l *limits) take(to phone.Number, now time.Time) error {
	r := l.throughput.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return errThroughput(wait)
	}
	if wait := l.takePair(to, now); wait > 0 {
		r.CancelAt(now)
		return errPairRate(wait)
	}
	return nil
}

// accept has accept take a message to a customer, if the limits allow one. What accept refuses does not count towards
// the pair limit: else a client that repeats its requests during an outage would have to wait after it.
func (l *limits) accept(to phone.Number, now time.Time, accept func() (id string, err error)) (string, error) {
	if err := l.take(to, now); err != nil {
		return "", err
	}
	id, err := accept()
	if err != nil {
		l.giveBack(to)
	}
	return id, err
}

// giveBack undoes takePair.
func (l *limits) giveBack(to phone.Number) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if full, ok := l.full[to]; ok {
		l.full[to] = full.Add(-pairInterval)
	}
}

// takePair is a token bucket that stores one time per customer: when the bucket is full again
// (the generic cell rate algorithm).
func (l *limits) takePair(to phone.Number, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full[to]
	if full.Before(now) || full.Sub(now) > pairBurst*pairInterval { // or the clock was set back
		full = now
	}
	if wait := full.Sub(now) - (pairBurst-1)*pairInterval; wait > 0 {
		return wait
	}
	l.full[to] = full.Add(pairInterval)
	if len(l.full) >= l.sweepAt {
		l.sweep(now)
	}
	return 0
}

// sweep forgets full buckets. An entry lives for pairBurst×pairInterval at most, so
// the throughput bounds how many there are.
func (l *limits) sweep(now time.Time) {
	for n, full := range l.full {
		if !full.After(now) {
			delete(l.full, n)
		}
	}
	l.sweepAt = max(minSweep, 2*len(l.full))
}
