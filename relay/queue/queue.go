// Package queue works off a durable queue: the jobs of one lane in order, many
// lanes at once, with back-off for what fails. It must not know what a job does;
// whatever is worth keeping is in the queue's storage, so that a crash loses
// nothing and repeats only the job at hand.
//
// # What is in memory
//
// The runner reads the queue in order until some four thousand jobs are in memory. A lane
// may have a limited share of them, so that there is room for as many lanes as there are
// workers. Jobs beyond a lane's share are skipped without being opened; the runner reads
// them later, for that lane alone and from its start, when its jobs in memory are done and
// it is its turn: then at least the one job that runs next, however full memory is. A held
// lane has no job in memory, only the time at which it is released, and is then read in
// the same way. What a Backend announces goes into its lane without being read, while everything before it was read.
// So memory is full only while every worker is busy, and lanes wait for
// workers and nothing else: neither a lane with very many jobs nor very many held lanes
// keep the jobs of another lane from being read.
package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Options say how a Runner works.
type Options struct {
	Name    string // for logs
	Backend Backend
	Worker  Worker
	// Batch, when it is not nil, does in Worker's place as many jobs at once as wait, at most MaxBatch: those of
	// one lane behind each other, and of a lane that can be held only one. It never waits for more.
	Batch    BatchWorker
	MaxBatch int
	// Workers is how many jobs run at once, at least 1.
	Workers int
	// HoldLane keeps a lane's later jobs waiting while an earlier one backs off. Without it,
	// and for jobs without a lane, later jobs go on.
	HoldLane bool
	// Open says whether jobs may run now; whatever opens it calls Wake. Nil means always.
	Open func() bool
	Now  func() time.Time
	Log  *slog.Logger
	// Poll is how often the queue is read from its start without a signal while it is not known when all jobs in it are
	// due, and a tenth as often otherwise; 0 means a minute.
	Poll time.Duration
	// Grace is how long jobs in flight may continue after the runner was stopped; 0 means 5
	// s.
	Grace time.Duration
}

// Runner works off one queue.
type Runner struct {
	o     Options
	wake  chan struct{}
	hurry chan struct{}
	inbox inbox
}

// New returns a Runner for o; call Run.
func New(o Options) *Runner {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Open == nil {
		o.Open = func() bool { return true }
	}
	if o.Poll == 0 {
		o.Poll = time.Minute
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	o.Workers, o.MaxBatch = max(1, o.Workers), max(1, o.MaxBatch)
	if o.Batch == nil {
		o.MaxBatch = 1
		o.Batch = func(ctx context.Context, jobs []Job) []Result { return []Result{o.Worker(ctx, jobs[0])} }
	}
	return &Runner{o: o, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
}

// Wake says that Open changed. It never blocks.
func (r *Runner) Wake() { signal(r.wake) }

// Hurry makes waiting jobs due now, once; call it when the reason why attempts failed is
// gone. In held lanes it only concerns jobs that could not be attempted: failed ones keep
// their back-off, or a flapping link would use up their attempts. Jobs that were added for a
// later time stay. It never blocks.
func (r *Runner) Hurry() {
	signal(r.hurry)
	signal(r.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then lets the jobs in flight finish within Grace. When it
// starts, and when the clock is set back by more than a second, waiting jobs are due at
// once, as after Hurry.
func (r *Runner) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d := newDispatch(r, func(jobs []Job) ([]Result, bool) { return r.attempt(work, jobs) })
	defer r.o.Backend.Announce(r.added, r.changed)()
	d.rush()
	for ctx.Err() == nil {
		d.step(ctx)
		d.wait(ctx)
	}
	stop := time.AfterFunc(r.o.Grace, cancel)
	defer stop.Stop()
	d.drain()
	return ctx.Err()
}

// attempt runs jobs once and, of those that are not done, writes when they are due again. It reports
// whether the storage holds the outcome.
func (r *Runner) attempt(ctx context.Context, jobs []Job) (results []Result, written bool) {
	results = r.o.Batch(ctx, jobs)
	var failed []Job
	for i, j := range jobs {
		res := results[i]
		if res.Done || res.Uncounted && r.holds(j) {
			continue // gone, or as it was
		}
		if !res.Uncounted {
			j.Attempts++
		}
		j.NotBefore = r.notBefore(j, res)
		results[i].due = j.NotBefore
		failed = append(failed, j)
	}
	return results, len(failed) == 0 || r.postpone(ctx, failed)
}

// notBefore is when the storage shows a failed job again. In a held lane jobs keep their
// times, and so their order; the back-off is kept in memory.
func (r *Runner) notBefore(j Job, res Result) time.Time {
	if r.holds(j) {
		return j.NotBefore
	}
	return r.o.Now().Add(res.RetryAfter)
}

// holds says whether a lane waits while this job of it backs off.
func (r *Runner) holds(j Job) bool { return r.o.HoldLane && j.Lane != 0 }

// postpone writes that jobs failed and reports whether it could. If it could not, they
// stay as they are in the queue, and their lanes are held so that they are not found again at
// once.
func (r *Runner) postpone(ctx context.Context, jobs []Job) bool {
	// An attempt that was cut short because the runner stops counts too; otherwise a job
	// that always takes longer than the grace would be retried without end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.Grace)
	defer cancel()
	err := r.o.Backend.Postpone(ctx, jobs)
	if err != nil && !errors.Is(err, context.Canceled) {
		r.o.Log.LogAttrs(ctx, slog.LevelWarn, "postponing jobs failed",
			slog.String("queue", r.o.Name), slog.Any("error", err))
	}
	return err == nil
}
