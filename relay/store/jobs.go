package store

import (
	"database/sql/driver"
	"errors"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

const purposeJob = "job"

// sealedJob is a job's row as it is stored.
type sealedJob struct {
	id, epoch, notBefore, attempts, created, customer int64
	queue, message                                    string
	sealed                                            []byte
}

const jobColumns = `id, epoch, not_before, attempts, created, coalesce(customer, 0), queue, message, sealed`

func (s *sealedJob) scan(r row) error {
	r.numbers(&s.id, &s.epoch, &s.notBefore, &s.attempts, &s.created, &s.customer)
	s.queue, s.message, s.sealed = r.words(6), r.words(7), r.octets(8)
	return nil
}

// identity is what the body is bound to. When a job is due and how often it was tried is not
// part of it, so that postponing costs no sealing. Somebody who can change the volume can so
// delay a job, but they could also drop it.
func (s *sealedJob) identity() []byte {
	w := &writer{b: rowOf(s.id, s.customer, s.created)}
	return w.text(s.queue).text(s.message).b
}

// Enqueue adds a job and returns its ID. A customer that it names must exist and moves into
// the current epoch; the job is removed with the customer's row. j.ID is ignored; a zero
// Created means NotBefore.
func (t *Tx) Enqueue(j Job) (int64, error) {
	err := t.allow(identifier(j.Queue), len(j.Message) <= MaxIdentifier, len(j.Body) <= MaxBody,
		!j.NotBefore.IsZero(), j.Attempts >= 0)
	if err != nil {
		return 0, err
	}
	if j.Created.IsZero() {
		j.Created = j.NotBefore
	}
	var customer any // NULL for none: it is a foreign key
	if j.Customer != 0 {
		if err := t.keepCustomer(j.Customer); err != nil {
			return 0, err
		}
		customer = int64(j.Customer)
	}
	s := sealedJob{
		id: take(&t.shared.next.job), created: toMillis(j.Created), customer: int64(j.Customer),
		queue: j.Queue, message: j.Message,
	}
	body, err := t.shared.memory.job(s.id, j.Queue, j.Body, int64(j.Life))
	if err != nil {
		return 0, err
	}
	if s.epoch, s.sealed, err = t.shared.keys.Seal(purposeJob, s.identity(), body); err != nil {
		return 0, err
	}
	t.use(j.Customer, int64(len(s.sealed))+rowCost)
	err = t.write(`INSERT INTO jobs (id, epoch, queue, customer, message, not_before, attempts, created, sealed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id, s.epoch, s.queue, customer, s.message, toMillis(j.NotBefore), int64(j.Attempts), s.created, s.sealed)
	if err == nil {
		t.hot().addJob(s.queue, j.Customer, s.id, s.message)
		t.jobAdded(&s, j)
	}
	return s.id, err
}

// jobAdded has listeners told of a job once it is durable. Who they are counts then: one that began to listen since may read the
// queue before.
func (t *Tx) jobAdded(s *sealedJob, j Job) {
	j.ID, j.NotBefore, j.Created = s.id, fromMillis(toMillis(j.NotBefore)), fromMillis(s.created)
	t.Then(func() {
		for _, l := range t.shared.listeners.of(j.Queue) {
			l.Added(j)
		}
	})
}

// queueChanged has listeners told, once it is durable, that something else changed in a queue.
func (t *Tx) queueChanged(queue string) {
	t.Then(func() {
		for _, l := range t.shared.listeners.of(queue) {
			l.Changed()
		}
	})
}

// Place is where a job stands in its queue. The zero Place is before all jobs, and
// one without an ID before all jobs of its time.
type Place struct {
	NotBefore time.Time
	ID        int64
}

// Due returns at most limit jobs of a queue whose time has come, in the order of NotBefore and
// then ID, from behind a place on. They stay until Finish: the caller keeps track of those
// that it works on. Jobs of erased epochs are skipped. A job whose row is damaged has no Body,
// so that it does not block those behind it.
func (t *Tx) Due(queue string, now time.Time, after Place, limit int) ([]Job, error) {
	jobs, _, err := t.DueOf(Wanted{Queue: queue, Now: now, After: after, Limit: limit})
	return jobs, err
}

// Wanted says which jobs of a queue to read.
type Wanted struct {
	Queue    string
	Customer CustomerID // of this customer; zero means of all
	Now      time.Time
	After    Place
	Limit    int
	// Skip says whether to skip a job, whose Body is not opened yet; nil skips none.
	Skip func(Job) bool
}

// Texts of DueOf, for all customers and for one. Each has an index in its order.
const (
	textDue   = `SELECT ` + jobColumns + ` FROM jobs WHERE queue = ?` + dueInOrder
	textDueOf = `SELECT ` + jobColumns + ` FROM jobs WHERE customer = ? AND queue = ?` + dueInOrder

	dueInOrder = ` AND not_before <= ? AND (not_before, id) > (?, ?) ORDER BY not_before, id`
)

// DueOf is Due for some jobs only. It also returns the place that it read to.
func (t *Tx) DueOf(w Wanted) (jobs []Job, to Place, err error) {
	text, args := textDue, []driver.Value{w.Queue, toMillis(w.Now), toMillis(w.After.NotBefore), w.After.ID}
	if w.Customer != 0 {
		text, args = textDueOf, append([]driver.Value{int64(w.Customer)}, args...)
	}
	jobs, to = make([]Job, 0, min(w.Limit, 8)), w.After
	err = t.rows(text, func(r row) error {
		if len(jobs) >= w.Limit {
			return errEnough
		}
		var s sealedJob
		if err := s.scan(r); err != nil {
			return err
		}
		job := s.closed()
		to = Place{job.NotBefore, job.ID}
		if w.Skip != nil && w.Skip(job) {
			return nil
		}
		_, err := t.openJob(&s, &job)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if errors.Is(err, seal.ErrTampered) {
			job.Body, err, job.Damaged = nil, nil, true
		}
		jobs = append(jobs, job)
		return err
	}, args...)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, w.After, err
	}
	return jobs, to, nil
}

// openJob opens a job's row, and returns the key in memory of its content, or 0.
func (t *Tx) openJob(s *sealedJob, j *Job) (key int64, err error) {
	plain, err := t.open(s.epoch, purposeJob, s.identity(), s.sealed)
	if err != nil {
		return 0, err
	}
	return t.shared.memory.readJob(plain, j)
}

// errEnough ends a query whose caller has enough rows.
var errEnough = errors.New("enough")

// closed is the job without its body.
func (s *sealedJob) closed() Job {
	return Job{
		ID: s.id, Queue: s.queue, Customer: CustomerID(s.customer), Message: s.message,
		NotBefore: fromMillis(s.notBefore), Attempts: int(s.attempts), Created: fromMillis(s.created),
	}
}

// NextDue returns when the first job of a queue is due; found is false for an
// empty queue.
func (t *Tx) NextDue(queue string) (at time.Time, found bool, err error) {
	found, err = t.first(`SELECT not_before FROM jobs WHERE queue = ? ORDER BY not_before, id LIMIT 1`,
		func(r row) error {
			ms, err := r.integer(0)
			at = fromMillis(ms)
			return err
		}, queue)
	return at, found, err
}

// Finish removes a job; a job that is gone is no error.
func (t *Tx) Finish(job int64) error {
	if err := t.finishes(job); err != nil {
		return err
	}
	return t.write(textFinish, job)
}

// Postpone changes when a queue's job is due and how often it was tried, or returns ErrNotFound, also when the job was
// moved into another queue. It stays in its epoch.
func (t *Tx) Postpone(queue string, job int64, notBefore time.Time, attempts int) error {
	if err := t.allow(!notBefore.IsZero(), attempts >= 0); err != nil {
		return err
	}
	n, err := t.run(`UPDATE jobs SET not_before = ?, attempts = ? WHERE id = ? AND queue = ?`, toMillis(notBefore), int64(attempts), job, queue)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// textMendJobs makes jobs due whose time is not a number: otherwise they would stay behind all
// others for good. A job's time is its only column that is not authenticated and that SQLite
// itself compares.
const textMendJobs = `UPDATE jobs SET not_before = 1 WHERE typeof(not_before) <> 'integer'`

// QueueLength counts the jobs of a queue, including those not yet due.
func (t *Tx) QueueLength(queue string) (int64, error) {
	return t.integer(`SELECT count(*) FROM jobs WHERE queue = ?`, queue)
}

// textQueued counts a queue's jobs and finds the first that was added, both in the queue's index.
const textQueued = `SELECT count(*), coalesce(min(id), 0) FROM jobs WHERE queue = ?`

// Queues returns the names of queues with jobs that begin so, in no order.
func (t *Tx) Queues(prefix string) (names []string, err error) {
	err = t.rows(`SELECT DISTINCT queue FROM jobs`, func(r row) error {
		if name := r.words(0); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// Queued counts the jobs of a queue, including those not yet due, and says when the oldest was created; the zero
// time for an empty queue.
func (t *Tx) Queued(queue string) (n int64, oldest time.Time, err error) {
	var first int64
	err = t.rows(textQueued, func(r row) error {
		r.numbers(&n, &first)
		return nil
	}, queue)
	if err != nil || n == 0 {
		return n, oldest, err
	}
	created, err := t.integer(`SELECT created FROM jobs WHERE id = ?`, first)
	return n, fromMillis(created), err
}

// textQueuedFor reads in the index of a customer's jobs.
const textQueuedFor = `SELECT id, message FROM jobs WHERE customer = ? AND queue = ? ORDER BY not_before, id LIMIT ?`

// QueuedFor returns the messages of a customer's jobs in a queue, empty for a job that has none, whether they are due or
// not; it stops at most. Jobs that were not put off come in the order in which they are due. The caller must not keep or
// change what it returns.
func (t *Tx) QueuedFor(queue string, c CustomerID, most int) (messages []string, err error) {
	if t.writes {
		if q := t.hot().queuedFor(c, queue); q != nil {
			return q.messages[:min(len(q.messages), most)], nil
		}
	}
	found := queued{queue: queue}
	err = t.rows(textQueuedFor, func(r row) error {
		var id int64
		r.numbers(&id)
		found.ids, found.messages = append(found.ids, id), append(found.messages, r.words(1))
		return nil
	}, int64(c), queue, int64(most))
	if err == nil && t.writes && len(found.ids) < most {
		t.hot().putQueued(c, found)
	}
	return found.messages, err
}
