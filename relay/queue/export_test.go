package queue

import (
	"context"
	"fmt"
)

// RunWatched is Run that tells what is wrong with what is in memory.
func (r *Runner) RunWatched(ctx context.Context, wrong func(string)) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d := newDispatch(r, func(jobs []Job) ([]Result, bool) { return r.attempt(work, jobs) })
	defer r.o.Backend.Announce(r.added, r.changed)()
	d.rush()
	for steps := 0; ctx.Err() == nil; steps++ {
		d.step(ctx)
		if steps%32 == 0 {
			d.look(wrong)
		}
		d.wait(ctx)
	}
	d.drain()
}

// look holds what is in memory after a step against what the package promises.
func (d *dispatch) look(wrong func(string)) {
	n := 0
	for id, l := range d.lanes.byID {
		n += len(l.jobs)
		switch held := !l.until.IsZero(); {
		case held && len(l.jobs) > 0:
			wrong(fmt.Sprintf("lane %d is held and has %d jobs in memory", id, len(l.jobs)))
		case len(l.jobs) > d.lanes.share:
			wrong(fmt.Sprintf("lane %d has %d jobs in memory", id, len(l.jobs)))
		case len(l.jobs) == 0 && !l.more:
			wrong(fmt.Sprintf("lane %d is empty", id))
		case d.cursor.all && l.more && !l.all:
			wrong(fmt.Sprintf("lane %d has no part in a rush", id))
		}
	}
	if most := d.lanes.window + batch + d.lanes.share + d.r.o.Workers; n > most || n != len(d.lanes.known) {
		wrong(fmt.Sprintf("%d jobs are in memory and %d are known there, at most %d may be", n, len(d.lanes.known), most))
	}
	if n >= d.lanes.window && d.busy < d.r.o.Workers && d.r.o.Open() {
		wrong(fmt.Sprintf("memory is full and %d workers have nothing to do", d.r.o.Workers-d.busy))
	}
}
