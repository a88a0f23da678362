package queue

import (
	"context"
	"log/slog"
	"time"
)

// batch is how many jobs are asked for at once.
const batch = 128

// failedFetch is how long to wait after the queue could not be read.
const failedFetch = time.Second

// forever is when jobs are due that are asked for whatever their time.
const forever = 100 * 365 * 24 * time.Hour

// dispatch is the state of one Run: it reads the queue at the cursor into lanes, starts
// what is ready, and sleeps until the next timer or a signal. Only its own goroutine
// touches it.
type dispatch struct {
	r      *Runner
	run    func([]Job) ([]Result, bool) // does jobs, and reports whether what became of them is written
	lanes  lanes
	cursor cursor
	timers timers
	busy   int
	ended  chan ended
	// tried are the jobs that were tried and postponed since a rush began, until the rush is
	// over: they had their turn and wait for their time.
	tried map[int64]bool
}

// ended is what became of jobs that ran at once.
type ended struct {
	parts   []part
	written bool
}

// part are the first jobs of a lane, and what became of them.
type part struct {
	lane    int64
	jobs    []Job
	results []Result
}

func newDispatch(r *Runner, run func([]Job) ([]Result, bool)) *dispatch {
	return &dispatch{
		r: r, run: run, lanes: newLanes(r.o.Workers, r.o.MaxBatch, r.o.HoldLane), cursor: cursor{more: true},
		ended: make(chan ended, r.o.Workers),
	}
}

// step starts whatever can be started now.
func (d *dispatch) step(ctx context.Context) {
	n := d.r.inbox.take() // before the time is read, so that what was added is due
	now := d.r.o.Now()
	d.timers.next = now.Add(seldom * d.r.o.Poll)
	d.noteTime(now)
	if !d.r.o.Open() {
		n.missed = n.missed || len(n.jobs) > 0 // what waits outside of memory ends there with its message
		d.takeOver(now, n)
		return
	}
	d.takeOver(now, n)
	d.rewindWhenDue(now)
	for d.cursor.more && !d.lanes.full() && d.load(ctx, now) {
	}
	if next := d.lanes.release(now); !next.IsZero() {
		d.timers.wakeAt(next)
	}
	for d.busy < d.r.o.Workers && d.start(ctx, now) {
	}
}

// noteTime keeps jobs running when the clock is set back. After a small step, jobs that were
// added meanwhile are found once that time has passed again; after a larger one, jobs' times
// mean nothing, and all are due.
func (d *dispatch) noteTime(now time.Time) {
	last := d.timers.last
	switch back := d.timers.setBack(now); {
	case back > time.Second:
		d.rush()
	case back > 0:
		d.cursor.rewind()
		d.timers.remember(last)
	}
}

// rewindWhenDue reads the queue from its start when there may be jobs before the cursor,
// which were postponed until now. A rush is finished first.
func (d *dispatch) rewindWhenDue(now time.Time) {
	retry := d.timers.retryDue(now) && !d.cursor.all
	if poll := d.timers.pollDue(now, d.r.o.Poll); retry || poll {
		d.cursor.rewind()
	}
	d.timers.plan(d.r.o.Poll)
}

// takeOver puts jobs that were announced into their lanes, as load does with what it reads, if everything before them was
// read and nothing was missed. Else they are read.
func (d *dispatch) takeOver(now time.Time, n news) {
	d.cursor.more = d.cursor.more || n.missed
	d.timers.forget(n.last)
	for _, j := range n.jobs {
		switch {
		case j.NotBefore.After(now):
			d.timers.remember(j.NotBefore)
		case d.cursor.more, d.lanes.known[j.ID], d.waitsInLane(j):
		case d.lanes.full():
			d.cursor.more = true
		case !d.cursor.follows(j): // it was read and done, or the clock was set back and forth
			d.cursor.rewind()
		default:
			d.cursor.after = j.place()
			d.cursor.took(j, now)
			d.lanes.add(j, false)
		}
	}
}

// waitsInLane says whether a job is among those of its lane that are read later.
func (d *dispatch) waitsInLane(j Job) bool {
	l := d.lanes.byID[laneOf(j)]
	return l != nil && l.more
}

// load reads jobs that are not in memory yet and reports whether it could.
func (d *dispatch) load(ctx context.Context, now time.Time) bool {
	q := Query{Now: now, After: d.cursor.after, Limit: batch, Skip: func(j Job) bool {
		return d.waitsInLane(j) || d.passed(j, now)
	}}
	jobs, to, ok := d.read(ctx, now, d.cursor.all, q)
	if !ok {
		return false
	}
	for _, j := range jobs {
		d.cursor.took(j, now)
		d.lanes.add(j, d.cursor.all)
	}
	if d.cursor.read(to, len(jobs) == batch) {
		d.calm()
		d.cursor.rewind() // what was added meanwhile stands before those that are not due
	}
	return true
}

// fill reads jobs of a lane that has none in memory, from the lane's start, since done and
// postponed jobs are no longer where they were.
func (d *dispatch) fill(ctx context.Context, now time.Time, id int64, l *lane) {
	q := Query{Now: now, Limit: d.lanes.share, Lane: id, Skip: func(j Job) bool { return d.passed(j, now) }}
	if d.lanes.full() {
		q.Limit = 1 // which runs at once
	}
	jobs, _, ok := d.read(ctx, now, l.all, q)
	if !ok {
		d.lanes.hold(now, hold{lane: id, until: now.Add(failedFetch)}, d.cursor.all)
		return
	}
	for _, j := range jobs {
		d.cursor.took(j, now)
	}
	more := len(jobs) == q.Limit
	d.lanes.fill(l, jobs, more)
	if !more && l.all {
		l.all = false
		d.calm()
	}
}

// read asks for jobs, with all those that are not due too, and reports whether it got an
// answer.
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
		d.timers.wakeAt(now.Add(failedFetch))
	}
	return jobs, to, err == nil
}

// passed says whether to skip a job: it is in memory, had its turn in this rush, or was
// added for a later time, which is then noted.
func (d *dispatch) passed(j Job, now time.Time) bool {
	waits := j.NotBefore.After(now)
	switch {
	case d.lanes.known[j.ID], waits && d.tried[j.ID]:
		return true
	case waits && d.putOff(j, now):
		d.timers.remember(j.NotBefore)
		return true
	}
	return false
}

// putOff says whether a job was added for a later time. In lanes that can be held, other
// jobs keep the time at which they were added, even after a failure, and are only in the
// future if the clock was set back. If that happened after the job was added, nothing says
// when it was meant for.
func (d *dispatch) putOff(j Job, now time.Time) bool {
	return d.r.holds(j) && j.PutOff() && !j.Created.After(now)
}

// rush does what Hurry asks for.
func (d *dispatch) rush() {
	d.cursor.rewind()
	d.cursor.all, d.tried = true, map[int64]bool{}
	d.lanes.letAway()
}

// calm ends a rush once everything was read.
func (d *dispatch) calm() {
	if !d.cursor.all && !d.lanes.rushing() {
		d.tried = nil
	}
}

// start has a worker do as many jobs as are ready, at most MaxBatch, and says whether there are any.
func (d *dispatch) start(ctx context.Context, now time.Time) bool {
	var jobs []Job
	var parts []part
	for len(jobs) < d.r.o.MaxBatch {
		id, l := d.lanes.next()
		if l == nil {
			break
		}
		if len(l.jobs) == 0 {
			d.fill(ctx, now, id, l)
		}
		if len(l.jobs) == 0 {
			d.lanes.settle(id, l)
			continue
		}
		first := l.jobs[:min(len(l.jobs), d.r.o.MaxBatch-len(jobs))]
		if d.r.holds(first[0]) {
			first = first[:1]
		}
		l.running = true
		jobs, parts = append(jobs, first...), append(parts, part{lane: id, jobs: first})
	}
	if len(jobs) == 0 {
		return false
	}
	d.busy++
	go func() {
		results, written := d.run(jobs)
		for i, p := range parts {
			parts[i].results, results = results[:len(p.jobs)], results[len(p.jobs):]
		}
		d.ended <- ended{parts, written}
	}()
	return true
}

// wait sleeps until there is something to do, and handles jobs that ended.
func (d *dispatch) wait(ctx context.Context) {
	timer := time.NewTimer(max(0, d.timers.next.Sub(d.r.o.Now())))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.r.wake:
	case e := <-d.ended:
		d.end(e)
	}
	select {
	case <-d.r.hurry:
		d.rush()
	default:
	}
}

// end removes jobs from memory, and holds a lane if its other jobs have to
// wait for the next attempt.
func (d *dispatch) end(e ended) {
	d.busy--
	now := d.r.o.Now()
	for _, p := range e.parts {
		l := d.lanes.byID[p.lane]
		l.running = false
		if until, failed := p.again(now); failed && !e.written && p.jobs[0].Lane != 0 && !d.r.holds(p.jobs[0]) {
			d.lanes.hold(now, hold{p.lane, until, true}, d.cursor.all)
		} else {
			for i, j := range p.jobs {
				d.endJob(now, p.lane, j, p.results[i])
			}
		}
		d.lanes.settle(p.lane, l)
	}
}

// again returns the earliest time of a retry; failed is false when all jobs are done.
func (p part) again(now time.Time) (at time.Time, failed bool) {
	for _, res := range p.results {
		if next := now.Add(res.RetryAfter); !res.Done && (!failed || next.Before(at)) {
			at, failed = next, true
		}
	}
	return at, failed
}

// endJob removes a lane's first job from memory, or holds the lane for it.
func (d *dispatch) endJob(now time.Time, lane int64, j Job, res Result) {
	l, at := d.lanes.byID[lane], now.Add(res.RetryAfter)
	switch {
	case res.Done:
		d.lanes.drop(l)
	case d.r.holds(j):
		d.lanes.hold(now, hold{lane, at, res.Uncounted}, d.cursor.all)
	default:
		d.lanes.drop(l)
		d.timers.remember(res.due)
		if d.tried != nil {
			d.tried[j.ID] = true
		}
	}
}

// drain waits for the running jobs.
func (d *dispatch) drain() {
	for d.busy > 0 {
		<-d.ended
		d.busy--
	}
}
