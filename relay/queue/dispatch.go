package queue

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// How many jobs are asked for at once, from how many in memory on no more are, and how
// many of one lane may be there.
const (
	batch   = 128
	window  = 1024
	perLane = 64
)

// failedFetch is how long to wait after the queue could not be read.
const failedFetch = time.Second

// forever is when jobs are due that are asked for whatever their time.
const forever = 100 * 365 * 24 * time.Hour

// lane is a lane's jobs in memory, the first of which may be running.
type lane struct {
	jobs    []Job
	running bool
	until   time.Time // held until then, without a job in memory
	more    bool      // there may be jobs of it that are not in memory: it is read again
	all     bool      // these are read whatever their time, until there are no more
}

// hold is a lane that is held.
type hold struct {
	lane  int64
	until time.Time
	away  bool // because what its first job needs was away
}

// dispatch is the state of one Run. Only its own goroutine touches it.
type dispatch struct {
	r     *Runner
	run   func(Job) (Result, bool) // does a job, and reports whether what became of it is written
	lanes map[int64]*lane
	share int            // how many jobs of a lane may be in memory
	known map[int64]bool // ids of all jobs in lanes
	held  []hold         // lanes that are held, earliest end first
	ready []int64        // lanes that may have work and are not running; may repeat
	busy  int
	ended chan ended
	fetch bool  // there may be jobs that are not in memory
	after Place // which stand after this
	all   bool  // they are read whatever their time, until there are no more
	// tried are the jobs that were tried and postponed since all was set, until nothing
	// is read whatever its time: they have had their turn, and come again at their time.
	tried map[int64]bool
	last  time.Time // when was looked last, by the clock on the wall, as jobs' times are
	poll  time.Time // when to read from the start by itself
	next  time.Time // when to look again
	// retries are the next times at which postponed jobs are due, earliest first,
	// at most window of them: polling finds the others.
	retries []time.Time
}

// ended is what became of a lane's first job.
type ended struct {
	lane    int64
	job     Job
	result  Result
	written bool
}

func newDispatch(r *Runner, run func(Job) (Result, bool)) *dispatch {
	return &dispatch{
		r: r, run: run, lanes: map[int64]*lane{}, known: map[int64]bool{},
		share: min(perLane, max(1, window/r.o.Workers)),
		ended: make(chan ended, r.o.Workers), fetch: true,
	}
}

// step starts whatever can be started now.
func (d *dispatch) step(ctx context.Context) {
	now := d.r.o.Now()
	d.next = now.Add(d.r.o.Poll)
	d.noteTime(now)
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
		d.start(ctx, now, id)
	}
}

// noteTime sees to it that jobs run though the clock was set back. By little, and what was
// added in that time is found when it is over; by more, and jobs' times say no more when
// they are due.
func (d *dispatch) noteTime(now time.Time) {
	switch back := d.last.Sub(now); {
	case back > time.Second:
		d.rush()
	case back > 0:
		d.rewind()
		d.remember(d.last)
	}
	d.last = now.Round(0)
}

// rewindWhenDue reads the queue from its start when something may stand before the
// place that was come to: what was postponed until now. Where everything is read, that
// comes to its end first.
func (d *dispatch) rewindWhenDue(now time.Time) {
	back := false
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
	jobs, to, ok := d.read(ctx, now, d.all, Query{Now: now, After: d.after, Limit: batch, Skip: func(j Job) bool {
		l := d.lanes[laneOf(j)]
		return l != nil && l.more || d.passed(j, now)
	}})
	if !ok {
		return false
	}
	d.after = to
	for _, j := range jobs {
		d.add(j)
	}
	if d.fetch = len(jobs) == batch; !d.fetch && d.all {
		d.all = false
		d.calm()
		d.rewind() // what was added meanwhile stands before those that are not due
	}
	return true
}

// fill reads jobs of a lane that has none in memory. What was done or put off stands no
// more where it stood, so it is read from the lane's start.
func (d *dispatch) fill(ctx context.Context, now time.Time, id int64, l *lane) {
	q := Query{Now: now, Limit: d.share, Lane: id, Skip: func(j Job) bool { return d.passed(j, now) }}
	if len(d.known) >= window {
		q.Limit = 1 // which runs at once
	}
	jobs, _, ok := d.read(ctx, now, l.all, q)
	if !ok {
		d.hold(now, id, l, now.Add(failedFetch), false)
		return
	}
	for _, j := range jobs {
		d.known[j.ID] = true
	}
	l.jobs = jobs
	if l.more = len(jobs) == q.Limit; !l.more && l.all {
		l.all = false
		d.calm()
	}
}

// read asks for jobs, with all whatever their time, and reports whether it got an answer.
func (d *dispatch) read(ctx context.Context, now time.Time, all bool, q Query) (jobs []Job, to Place, ok bool) {
	if all {
		q.Now = now.Add(forever)
	}
	jobs, to, err := d.r.o.Backend.Due(ctx, q)
	if err != nil {
		if ctx.Err() == nil {
			d.r.o.Log.LogAttrs(ctx, slog.LevelWarn, "reading a queue failed",
				slog.String("queue", d.r.o.Name), slog.Any("error", err))
		}
		d.wakeAt(now.Add(failedFetch))
	}
	return jobs, to, err == nil
}

// passed says whether a job that was found is not to be read: it is in memory, had its
// turn in a rush, or was added for a later time, which is noted.
func (d *dispatch) passed(j Job, now time.Time) bool {
	waits := j.NotBefore.After(now)
	switch {
	case d.known[j.ID], waits && d.tried[j.ID]:
		return true
	case waits && d.putOff(j, now):
		d.remember(j.NotBefore)
		return true
	}
	return false
}

// putOff says whether a job was added for a later time. In held lanes others have the time
// at which they were added, even when they failed, and are not due only where the clock
// was set back; where that was since the job was added, it is not known for when it was.
func (d *dispatch) putOff(j Job, now time.Time) bool {
	return d.r.holds(j) && j.PutOff() && !j.Created.After(now)
}

// calm forgets what was tried in a rush when nothing is read any more whatever its time.
func (d *dispatch) calm() {
	if d.all {
		return
	}
	for _, l := range d.lanes {
		if l.all {
			return
		}
	}
	d.tried = nil
}

// add puts a job at its lane's end, unless there is no room.
func (d *dispatch) add(j Job) {
	id := laneOf(j)
	l := d.lanes[id]
	if l == nil {
		l = &lane{}
		d.lanes[id] = l
	}
	if len(l.jobs) >= d.share {
		l.more, l.all = true, l.all || d.all
		return
	}
	d.known[j.ID] = true
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
	for len(d.held) > 0 && !d.held[0].until.After(now) {
		d.let(d.held[0])
		d.held = d.held[1:]
	}
	if len(d.held) > 0 {
		d.wakeAt(d.held[0].until)
	}
}

// let lets a lane go.
func (d *dispatch) let(h hold) {
	d.lanes[h.lane].until = time.Time{}
	d.ready = append(d.ready, h.lane)
}

// hold keeps a lane from running until a time, and its jobs no longer in memory: those
// that were to run before their time still are.
func (d *dispatch) hold(now time.Time, id int64, l *lane, until time.Time, away bool) {
	l.all = l.all || d.all
	for _, j := range l.jobs {
		l.all = l.all || j.NotBefore.After(now)
		delete(d.known, j.ID)
	}
	l.jobs, l.more, l.until = nil, true, until
	i, _ := slices.BinarySearchFunc(d.held, until, func(h hold, t time.Time) int {
		if h.until.After(t) {
			return 1
		}
		return -1
	})
	d.held = slices.Insert(d.held, i, hold{id, until, away})
}

// start runs a lane's first job, if there is one.
func (d *dispatch) start(ctx context.Context, now time.Time, id int64) {
	l := d.lanes[id]
	if l == nil || l.running || !l.until.IsZero() {
		return
	}
	if len(l.jobs) == 0 {
		d.fill(ctx, now, id, l)
	}
	if len(l.jobs) == 0 {
		d.settle(id, l)
		return
	}
	l.running = true
	d.busy++
	job := l.jobs[0]
	go func() {
		result, written := d.run(job)
		d.ended <- ended{id, job, result, written}
	}()
}

// settle forgets a lane that has no jobs, or has it run on unless it is held.
func (d *dispatch) settle(id int64, l *lane) {
	switch {
	case len(l.jobs) == 0 && !l.more:
		delete(d.lanes, id)
	case l.until.IsZero():
		d.ready = append(d.ready, id)
	}
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
	for _, l := range d.lanes {
		l.all = l.more
	}
	d.held = slices.DeleteFunc(d.held, func(h hold) bool {
		if h.away {
			d.let(h)
		}
		return h.away
	})
}

// end removes a lane's first job from memory, and has the lane wait for its next attempt
// if others wait with it.
func (d *dispatch) end(e ended) {
	d.busy--
	l := d.lanes[e.lane]
	l.running = false
	now := d.r.o.Now()
	at := now.Add(e.result.RetryAfter)
	switch {
	case e.result.Done:
		d.drop(l, e.job)
	case d.r.holds(e.job):
		d.hold(now, e.lane, l, at, e.result.Uncounted)
	case !e.written && e.job.Lane != 0:
		d.hold(now, e.lane, l, at, true)
	default:
		d.drop(l, e.job)
		d.remember(at)
		if d.tried != nil {
			d.tried[e.job.ID] = true
		}
	}
	d.settle(e.lane, l)
}

func (d *dispatch) drop(l *lane, j Job) {
	l.jobs = l.jobs[1:]
	delete(d.known, j.ID)
}

// remember notes when a postponed job is due.
func (d *dispatch) remember(at time.Time) {
	at = at.Round(0) // by the clock on the wall, as all others
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
