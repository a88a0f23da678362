package queue

import (
	"slices"
	"time"
)

// maxRetries is how many times are noted at which postponed jobs are due.
const maxRetries = 1024

// timers know when to look at the queue again. Their times are those of the clock on the
// wall, as jobs' times are.
type timers struct {
	next time.Time // when to look again
	poll time.Time // when to read from the start without being asked to
	last time.Time // when the last look was
	// retries are the next times at which postponed jobs are due, earliest first, at most
	// maxRetries of them: polling finds the others.
	retries []time.Time
}

// wakeAt makes sure that the next look is not later than at.
func (t *timers) wakeAt(at time.Time) {
	if at.Before(t.next) {
		t.next = at
	}
}

// remember notes when a postponed job is due.
func (t *timers) remember(at time.Time) {
	at = at.Round(0) // by the clock on the wall, as all others
	t.wakeAt(at)
	i, noted := slices.BinarySearchFunc(t.retries, at, time.Time.Compare)
	if noted {
		return
	}
	t.retries = slices.Insert(t.retries, i, at)
	t.retries = t.retries[:min(len(t.retries), maxRetries)]
}

// retryDue takes out the retries whose time has come and says whether there were any.
func (t *timers) retryDue(now time.Time) bool {
	n, _ := slices.BinarySearchFunc(t.retries, now, func(at, now time.Time) int {
		if at.After(now) {
			return 1
		}
		return -1
	})
	t.retries = t.retries[n:]
	return n > 0
}

// pollDue says whether it is time to read from the start, and when it is sets the next
// time, which is every later.
func (t *timers) pollDue(now time.Time, every time.Duration) bool {
	if t.poll.After(now) {
		return false
	}
	t.poll = now.Add(every)
	return true
}

// plan sets the next look to the earliest of what is noted.
func (t *timers) plan() {
	if len(t.retries) > 0 {
		t.wakeAt(t.retries[0])
	}
	t.wakeAt(t.poll)
}

// setBack notes the time of a look and returns how far the clock was set back since the
// one before.
func (t *timers) setBack(now time.Time) time.Duration {
	back := t.last.Sub(now)
	t.last = now.Round(0)
	return max(0, back)
}
