package queue

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// How many jobs are asked for at once, and from how many in memory on no more are.
const (
	batch  = 128
	window = 1024
)

// failedFetch is how long to wait after the queue could not be read.
const failedFetch = time.Second

// forever is when jobs are due that are asked for whatever their time.
const forever = 100 * 365 * 24 * time.Hour

// lane is a lane's jobs in memory, the first of which may be running.
type lane struct {
	jobs    []Job
	running bool
	until   time.Time // held until then
	away    bool      // because what its first job needs was away
}

// dispatch is the state of one Run. Only its own goroutine touches it.
type dispatch struct {
	r     *Runner
	run   func(Job) (Job, Result) // does a job and returns it as it is then
	lanes map[int64]*lane
	known map[int64]bool // ids of all jobs in lanes
	ready []int64        // lanes that have work and are not running; may repeat
	busy  int
	ended chan ended
	fetch bool  // there may be jobs that are not in memory
	after Place // which stand after this
	all   bool  // they are read whatever their time, until there are no more
	// tried are the jobs that were tried and postponed since all was set: they have
	// had their turn, and come again at their time.
	tried map[int64]bool
	poll  time.Time // when to read from the start by itself
	next  time.Time // when to look again
	// retries are the next times at which postponed jobs are due, earliest first,
	// at most window of them: polling finds the others.
	retries []time.Time
}

// ended is what became of a lane's first job.
type ended struct {
	lane   int64
	job    Job
	result Result
}

func newDispatch(r *Runner, run func(Job) (Job, Result)) *dispatch {
	return &dispatch{
		r: r, run: run, lanes: map[int64]*lane{}, known: map[int64]bool{},
		ended: make(chan ended, r.o.Workers), fetch: true,
	}
}

// step starts whatever can be started now.
func (d *dispatch) step(ctx context.Context) {
	now := d.r.o.Now()
	d.next = now.Add(d.r.o.Poll)
	if !d.r.o.Open() {
		return
	}
	d.rewindWhenDue(now)
	for d.fetch && len(d.known) < window && d.load(ctx, now) {
	}
	d.release(now)
	for d.busy < d.r.o.Workers && len(d.ready) > 0 {
		id := d.ready[0]
		d.ready = d.ready[1:]
		d.start(id)
	}
}

// rewindWhenDue reads the queue from its start when something may stand before the
// place that was come to: what was postponed until now, or all that was added since
// the clock was set back. Where everything is read, that comes to its end first.
func (d *dispatch) rewindWhenDue(now time.Time) {
	back := !d.all && d.after.NotBefore.After(now)
	for len(d.retries) > 0 && !d.retries[0].After(now) {
		d.retries, back = d.retries[1:], !d.all
	}
	if back || !d.poll.After(now) {
		d.rewind()
		d.poll = now.Add(d.r.o.Poll)
	}
	if len(d.retries) > 0 {
		d.wakeAt(d.retries[0])
	}
	d.wakeAt(d.poll)
}

// rewind has the queue be read from its start. Jobs that are in memory come again.
func (d *dispatch) rewind() { d.after, d.fetch = Place{}, true }

// load reads jobs that are not in memory yet and reports whether it could.
func (d *dispatch) load(ctx context.Context, now time.Time) bool {
	due := now
	if d.all {
		due = now.Add(forever)
	}
	jobs, err := d.r.o.Backend.Due(ctx, due, d.after, batch)
	if err != nil {
		if ctx.Err() == nil {
			d.r.o.Log.LogAttrs(ctx, slog.LevelWarn, "reading a queue failed",
				slog.String("queue", d.r.o.Name), slog.Any("error", err))
		}
		d.wakeAt(now.Add(failedFetch))
		return false
	}
	for _, j := range jobs {
		d.after = Place{j.NotBefore, j.ID}
		switch waits := j.NotBefore.After(now); {
		case d.known[j.ID], waits && d.tried[j.ID]:
		case waits && d.putOff(j):
			d.remember(j.NotBefore)
		default:
			d.add(j)
		}
	}
	if d.fetch = len(jobs) == batch; !d.fetch && d.all {
		d.all, d.tried = false, nil
		d.rewind() // what was added meanwhile stands before those that are not due
	}
	return true
}

// putOff says whether a job was added for a later time. In held lanes others have the time
// at which they were added, even when they failed, and are not due only where the clock
// was set back.
func (d *dispatch) putOff(j Job) bool { return d.r.o.HoldLane && j.NotBefore.After(j.Created) }

// add puts a job at its lane's end.
func (d *dispatch) add(j Job) {
	d.known[j.ID] = true
	id := laneOf(j)
	l := d.lanes[id]
	if l == nil {
		l = &lane{}
		d.lanes[id] = l
	}
	l.jobs = append(l.jobs, j)
	if len(l.jobs) == 1 {
		d.ready = append(d.ready, id)
	}
}

// laneOf gives jobs without a lane one of their own: customers' are positive, and
// so are jobs' ids.
func laneOf(j Job) int64 {
	if j.Lane != 0 {
		return j.Lane
	}
	return -j.ID
}

// release makes lanes ready whose time of being held is over.
func (d *dispatch) release(now time.Time) {
	for id, l := range d.lanes {
		switch {
		case l.until.IsZero():
		case l.until.After(now):
			d.wakeAt(l.until)
		default:
			l.until = time.Time{}
			d.ready = append(d.ready, id)
		}
	}
}

// start runs a lane's first job.
func (d *dispatch) start(id int64) {
	l := d.lanes[id]
	if l == nil || l.running || len(l.jobs) == 0 || !l.until.IsZero() {
		return
	}
	l.running = true
	d.busy++
	job := l.jobs[0]
	go func() {
		job, res := d.run(job)
		d.ended <- ended{id, job, res}
	}()
}

// wait sleeps until there is something to do, and takes note of what ended.
func (d *dispatch) wait(ctx context.Context) {
	timer := time.NewTimer(max(0, d.next.Sub(d.r.o.Now())))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		d.fetch = true
	case <-d.r.wake:
		d.fetch = true
	case e := <-d.ended:
		d.end(e)
	}
	select {
	case <-d.r.hurry:
		d.rush()
	default:
	}
}

// rush makes due what Hurry says.
func (d *dispatch) rush() {
	d.rewind()
	d.all, d.tried = true, map[int64]bool{}
	for id, l := range d.lanes {
		if !l.until.IsZero() && l.away {
			l.until = time.Time{}
			d.ready = append(d.ready, id)
		}
	}
}

// end removes a lane's first job from memory, or keeps it for its next attempt.
func (d *dispatch) end(e ended) {
	d.busy--
	l := d.lanes[e.lane]
	l.running = false
	at := d.r.o.Now().Add(e.result.RetryAfter)
	switch {
	case e.result.Done:
		d.drop(l, e.job)
	case d.r.o.HoldLane:
		l.jobs[0] = e.job
		l.until, l.away = at, e.result.Uncounted
	default:
		d.drop(l, e.job)
		d.remember(at)
		if d.all {
			d.tried[e.job.ID] = true
		}
	}
	switch {
	case len(l.jobs) == 0:
		delete(d.lanes, e.lane)
	case l.until.IsZero():
		d.ready = append(d.ready, e.lane)
	}
}

func (d *dispatch) drop(l *lane, j Job) {
	l.jobs = l.jobs[1:]
	delete(d.known, j.ID)
}

// remember notes when a postponed job is due.
func (d *dispatch) remember(at time.Time) {
	d.wakeAt(at)
	i, noted := slices.BinarySearchFunc(d.retries, at, time.Time.Compare)
	if noted {
		return
	}
	d.retries = slices.Insert(d.retries, i, at)
	d.retries = d.retries[:min(len(d.retries), window)]
}

// wakeAt makes sure that the next look is not later than at.
func (d *dispatch) wakeAt(at time.Time) {
	if at.Before(d.next) {
		d.next = at
	}
}

// drain waits for the running jobs.
func (d *dispatch) drain() {
	for d.busy > 0 {
		<-d.ended
		d.busy--
	}
}
