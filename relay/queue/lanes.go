package queue

import (
	"slices"
	"time"
)

// Bounds on the jobs in memory, where they are done one by one.
const (
	leastWindow = 4096 // in all lanes: no more are read while there are so many
	perLane     = 64   // in one lane
	inHands     = 1024 // in those that workers have in hand, which are read again and again while memory is full
)

// lane is a lane's jobs in memory, the first of which, or several with it, may be running.
//
//	           add                start               Done
//	absent ──────────► ready ──────────────► running ────────► settle: ready while there
//	                     ▲                      │              are more jobs, else absent
//	                     │ release, let         │ an attempt failed, and later
//	                     │                      ▼ jobs wait with it
//	                     └──────────────────── held
//
// A ready lane whose jobs are not in memory is filled when it starts; one that cannot be
// read is held for a moment.
type lane struct {
	jobs    []Job
	running bool
	until   time.Time // held until then, without a job in memory; zero when it is not
	more    bool      // it may have jobs that are not in memory: it is read again
	all     bool      // those jobs are read whatever their time, until there are no more
}

// hold is a lane that is held.
type hold struct {
	lane  int64
	until time.Time
	away  bool // because what its first job needs was away
}

// lanes are the lanes that have jobs in memory or are held.
type lanes struct {
	byID map[int64]*lane
	// window is how many jobs may be in memory before no more are read, and share how many of one lane.
	window, share int
	known         map[int64]bool // ids of all jobs in memory
	held          []hold         // lanes that are held, earliest end first
	ready         []int64        // lanes that may have work and are not running; may repeat
}

// newLanes has room for all the jobs of the lanes that workers have in hand, each so many jobs at once. Of lanes that
// can be held that is one job each; of others a worker does all, but for the last lane that it takes.
func newLanes(workers, atOnce int, hold bool) lanes {
	share := max(atOnce, min(perLane, inHands/workers))
	inHand := atOnce + share - 1
	if hold {
		share = max(1, min(perLane, inHands/(workers*atOnce)))
		inHand = atOnce * share
	}
	window := max(leastWindow, workers*inHand)
	return lanes{byID: map[int64]*lane{}, known: map[int64]bool{}, window: window, share: share}
}

// laneOf gives jobs without a lane one of their own: customers' are positive, and
// so are jobs' ids.
func laneOf(j Job) int64 {
	if j.Lane != 0 {
		return j.Lane
	}
	return -j.ID
}

// full says whether as many jobs are in memory as may be.
func (ls *lanes) full() bool { return len(ls.known) >= ls.window }

// add puts a job at its lane's end if there is room. All says that it was read in a rush.
func (ls *lanes) add(j Job, all bool) {
	id := laneOf(j)
	l := ls.byID[id]
	if l == nil {
		l = &lane{}
		ls.byID[id] = l
	}
	if len(l.jobs) >= ls.share {
		l.more, l.all = true, l.all || all
		return
	}
	ls.known[j.ID] = true
	l.jobs = append(l.jobs, j)
	if len(l.jobs) == 1 {
		ls.ready = append(ls.ready, id)
	}
}

// fill gives an empty lane the jobs that were read for it; more says that there may be
// others.
func (ls *lanes) fill(l *lane, jobs []Job, more bool) {
	for _, j := range jobs {
		ls.known[j.ID] = true
	}
	l.jobs, l.more = jobs, more
}

// drop forgets a lane's first job.
func (ls *lanes) drop(l *lane) {
	delete(ls.known, l.jobs[0].ID)
	l.jobs = l.jobs[1:]
}

// next takes the next lane that is ready; nil when there is none.
func (ls *lanes) next() (int64, *lane) {
	for len(ls.ready) > 0 {
		id := ls.ready[0]
		ls.ready = ls.ready[1:]
		if l := ls.byID[id]; l != nil && !l.running && l.until.IsZero() {
			return id, l
		}
	}
	return 0, nil
}

// settle forgets a lane that has no jobs, or makes it ready unless it is held.
func (ls *lanes) settle(id int64, l *lane) {
	switch {
	case len(l.jobs) == 0 && !l.more:
		delete(ls.byID, id)
	case l.until.IsZero():
		ls.ready = append(ls.ready, id)
	}
}

// hold keeps a lane from running until a time and drops its jobs from memory. Jobs that were
// to run before their time still are. All says that a rush is on.
func (ls *lanes) hold(now time.Time, h hold, all bool) {
	l := ls.byID[h.lane]
	l.all = l.all || all
	for _, j := range l.jobs {
		l.all = l.all || j.NotBefore.After(now)
		delete(ls.known, j.ID)
	}
	l.jobs, l.more, l.until = nil, true, h.until
	i, _ := slices.BinarySearchFunc(ls.held, h.until, func(other hold, t time.Time) int {
		if other.until.After(t) {
			return 1
		}
		return -1
	})
	ls.held = slices.Insert(ls.held, i, h)
}

// release wakes the lanes whose time has come and returns when the next one wakes up; the
// zero time if none is held.
func (ls *lanes) release(now time.Time) (next time.Time) {
	for len(ls.held) > 0 && !ls.held[0].until.After(now) {
		ls.let(ls.held[0])
		ls.held = ls.held[1:]
	}
	if len(ls.held) > 0 {
		next = ls.held[0].until
	}
	return next
}

// let wakes a lane up.
func (ls *lanes) let(h hold) {
	ls.byID[h.lane].until = time.Time{}
	ls.ready = append(ls.ready, h.lane)
}

// letAway wakes the lanes whose first job could not be attempted, and has all lanes' jobs
// read whatever their time.
func (ls *lanes) letAway() {
	for _, l := range ls.byID {
		l.all = l.more
	}
	ls.held = slices.DeleteFunc(ls.held, func(h hold) bool {
		if h.away {
			ls.let(h)
		}
		return h.away
	})
}

// rushing says whether some lane's jobs are still read whatever their time.
func (ls *lanes) rushing() bool {
	for _, l := range ls.byID {
		if l.all {
			return true
		}
	}
	return false
}
