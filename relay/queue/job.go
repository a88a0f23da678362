package queue

import (
	"context"
	"time"
)

// Job is one piece of work.
type Job struct {
	ID int64
	// Lane names whose jobs must keep their order; 0 means that this job has a lane
	// of its own.
	Lane      int64
	Message   string // id of the message that it is about; may be empty
	NotBefore time.Time
	Attempts  int // how often it was tried and failed
	Created   time.Time
	Body      []byte
}

// PutOff says whether the storage holds a job for a later time than when it was added: it
// was added for then, or it failed.
func (j Job) PutOff() bool { return j.NotBefore.After(j.Created) }

// Place is where a job stands in its queue. The zero Place is before all jobs, and
// one without an ID before all jobs of its time.
type Place struct {
	NotBefore time.Time
	ID        int64
}

func (j Job) place() Place { return Place{j.NotBefore, j.ID} }

// after says whether p stands behind another place.
func (p Place) after(other Place) bool {
	if !p.NotBefore.Equal(other.NotBefore) {
		return p.NotBefore.After(other.NotBefore)
	}
	return p.ID > other.ID
}

// Query says which jobs are wanted.
type Query struct {
	Now   time.Time // at which they are due
	After Place     // which they stand after
	Limit int       // at most so many
	Lane  int64     // of this lane; 0 means of all
	// Skip says whether to pass over a job, whose Body is not read yet: opening it costs
	// more than finding it. It is called for one job after another, maybe twice for the
	// same, and must not use the Backend.
	Skip func(Job) bool
}

// Backend keeps jobs durably. Its methods are safe for concurrent use.
type Backend interface {
	// Due returns the wanted jobs in the order in which they are to run, by NotBefore and
	// ID, and the place that it read to. Fewer than the limit means that there are no more.
	// A job that is added is due then or later, so never before a place that was already
	// read.
	Due(ctx context.Context, q Query) (jobs []Job, to Place, err error)
	// Postpone writes the NotBefore and Attempts that jobs have now, of all or of none.
	Postpone(ctx context.Context, jobs []Job) error
	// Announce has added called for each job that is added, once Due finds it and in the order in which jobs are added, and
	// changed when jobs came that are not named, until end is called. Both are quick.
	Announce(added func(Job), changed func()) (end func())
}

// Result is what became of one attempt.
type Result struct {
	// Done means that the job is gone from the queue: the worker removed it, in the
	// same transaction as what it wrote.
	Done bool
	// RetryAfter is how long to wait before the next attempt of a job not Done.
	RetryAfter time.Duration
	// Uncounted says that this was not an attempt: what the job needs was not available.
	Uncounted bool

	due time.Time // as it was written for a job not Done that keeps no others waiting
}

// Done is the Result of a job that the worker removed.
func Done() Result { return Result{Done: true} }

// Retry is the Result of an attempt that failed.
func Retry(after time.Duration) Result { return Result{RetryAfter: after} }

// Later is the Result of a job that could not be tried at all.
func Later(after time.Duration) Result { return Result{RetryAfter: after, Uncounted: true} }

// Worker does one job. It must tolerate doing a job that it did before: a crash
// between an effect and its removal repeats it.
type Worker func(ctx context.Context, j Job) Result

// BatchWorker does several jobs at once, the first of a lane first, and returns what became of each.
type BatchWorker func(ctx context.Context, jobs []Job) []Result
