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
	// polled is when the queue was read from its start without being asked to.
	polled time.Time
	last   time.Time // when the last look was
	// retries are the next due times of postponed jobs, earliest first, at most maxRetries;
	// polling finds the others, the last of which is due at forgotten.
	retries   []time.Time
	forgotten time.Time
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
	if len(t.retries) <= maxRetries {
		return
	}
	t.forget(t.retries[maxRetries])
	t.retries = t.retries[:maxRetries]
}

// forget notes that jobs that are due up to a time are left to polling.
func (t *timers) forget(at time.Time) {
	if at.After(t.forgotten) {
		t.forgotten = at
	}
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

// seldom is how many times rarer the queue is read from its start while the times of all jobs are known that are due later.
const seldom = 10

// nextPoll is when the queue is to be read from its start without being asked to, given how often that is done while some
// times are not known.
func (t *timers) nextPoll(every time.Duration) time.Time {
	if t.polled.After(t.forgotten) {
		every *= seldom
	}
	return t.polled.Add(every)
}

// pollDue says whether it is time for that, and if so, notes that it is done.
func (t *timers) pollDue(now time.Time, every time.Duration) bool {
	if t.nextPoll(every).After(now) {
		return false
	}
	t.polled = now
	return true
}

// plan sets the next look to the earliest time that is kept.
func (t *timers) plan(every time.Duration) {
	if len(t.retries) > 0 {
		t.wakeAt(t.retries[0])
	}
	t.wakeAt(t.nextPoll(every))
}

// setBack records the time of a look and returns by how much the clock was set back since
// the last one.
func (t *timers) setBack(now time.Time) time.Duration {
	back := max(0, t.last.Sub(now))
	t.last, t.polled = now.Round(0), t.polled.Add(-back)
	return back
}
