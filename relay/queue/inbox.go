package queue

import "sync"

// maxInbox is how many jobs may wait to be taken over.
const maxInbox = leastWindow

// inbox are the jobs that were announced, in the order in which they were added.
type inbox struct {
	mu     sync.Mutex // guards the following fields
	jobs   []Job
	missed bool // the queue must be read: there were too many, or something else changed
}

// added notes a job that was announced.
func (r *Runner) added(j Job) {
	r.inbox.put(j)
	r.Wake()
}

// changed notes that the queue must be read.
func (r *Runner) changed() {
	r.inbox.miss()
	r.Wake()
}

func (in *inbox) put(j Job) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.missed:
	case len(in.jobs) == maxInbox:
		in.jobs, in.missed = nil, true
	default:
		in.jobs = append(in.jobs, j)
	}
}

func (in *inbox) miss() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.jobs, in.missed = nil, true
}

// take empties it.
func (in *inbox) take() (jobs []Job, missed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	jobs, missed = in.jobs, in.missed
	in.jobs, in.missed = nil, false
	return jobs, missed
}
