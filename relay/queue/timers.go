package queue

import (
	"slices"
	"time"
)

// maxRetries is how many due times of postponed jobs are kept.
const maxRetries = 1024

// timers know when to look at the queue again, by wall-clock time like the jobs' own times.
type timers struct {
	next time.Time // when to look again
	poll time.Time // when to read from the start without being asked to
	last time.Time // when the last look was
	// retries are the next due times of postponed jobs, earliest first, at most maxRetries;
	// polling finds the others.
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

// retryDue removes the retries whose time has come and says whether there were any.
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

// pollDue says whether it is time to read the queue from its start; if so, the next time is
// after every.
func (t *timers) pollDue(now time.Time, every time.Duration) bool {
	if t.poll.After(now) {
		return false
	}
	t.poll = now.Add(every)
	return true
}

// plan sets the next look to the earliest time that is kept.
func (t *timers) plan() {
	if len(t.retries) > 0 {
		t.wakeAt(t.retries[0])
	}
	t.wakeAt(t.poll)
}

// setBack records the time of a look and returns by how much the clock was set back since
// the last one.
func (t *timers) setBack(now time.Time) time.Duration {
	back := t.last.Sub(now)
	t.last = now.Round(0)
	return max(0, back)
}
