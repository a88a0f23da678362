package queue

import (
	"sync"
	"time"
)

// maxInbox is how many jobs may wait to be taken over.
const maxInbox = leastWindow

// news is what was announced since the last look.
type news struct {
	jobs   []Job     // as they were added
	missed bool      // the queue must be read: there were more, or jobs came that were not named
	last   time.Time // when the last of those is due that there were more
}

// inbox keeps the news.
type inbox struct {
	mu   sync.Mutex // guards news
	news news
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
	if len(in.news.jobs) < maxInbox {
		in.news.jobs = append(in.news.jobs, j)
		return
	}
	in.news.missed = true
	if j.NotBefore.After(in.news.last) {
		in.news.last = j.NotBefore
	}
}

func (in *inbox) miss() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.news.missed = true
}

// take empties the inbox.
func (in *inbox) take() news {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := in.news
	in.news = news{}
	return n
}
