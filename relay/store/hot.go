package store

import (
	"slices"
	"sync"
)

// Bounds of what the writer remembers.
const (
	maxHotCustomers = 1 << 10
	maxHotMessages  = 1 << 13
	maxHotBytes     = 4 << 20 // of messages, sealed
	maxHotQueued    = 1 << 10 // of one customer's jobs
)

// hot is what the writer remembers of rows that it read or wrote last, as they are in the database
// once the running group has committed: still sealed. Reading what was just written took a sixth
// of a message's time. Nobody else writes to the database while the store is open.
//
// Only the writer uses it, and only for updates: a view's snapshot may be older.
type hot struct {
	customers map[CustomerID]*hotCustomer
	lookups   map[[32]byte]CustomerID // HMACs of numbers and user ids
	jobs      map[int64]CustomerID    // ids of those in a customer's queued
	messages  messageRows
	// written are the messages and customers that the running group wrote. Lost says that some of them are not known.
	written struct {
		messages  []string
		customers []CustomerID
	}
	lost bool
	// changed says that the running change wrote to the tables that rows are remembered of: it may
	// still be undone, and what was read since with it.
	changed bool
}

// hotCustomer are the rows of one customer, as far as they are known.
type hotCustomer struct {
	row      *sealedCustomer
	macs     *[2][32]byte // of number and user id, which the row has; nil when they are not known
	devices  *[]child
	sessions *[]child
	queued   *queued
}

// queued are all of a customer's jobs in one queue.
type queued struct {
	queue    string
	ids      []int64
	messages []string // of each, in the same order; empty for one that has none
}

// forget forgets everything.
func (h *hot) forget() { *h = hot{changed: h.changed, lost: true} }

// begin begins a change. What one before it wrote and did not keep was undone.
func (h *hot) begin() {
	if h.changed {
		h.forget()
		h.changed = false
	}
}

// keep says that what the running change wrote will commit with its group.
func (h *hot) keep() { h.changed = false }

// of returns the place for a customer's rows.
func (h *hot) of(id CustomerID) *hotCustomer {
	c := h.customers[id]
	if c == nil {
		if h.customers == nil || len(h.customers) >= maxHotCustomers {
			h.customers, h.lookups, h.jobs = map[CustomerID]*hotCustomer{}, map[[32]byte]CustomerID{}, map[int64]CustomerID{}
		}
		c = &hotCustomer{}
		h.customers[id] = c
	}
	return c
}

// found returns the customer's row that a lookup found in an epoch before, nil when it is not known.
func (h *hot) found(mac [32]byte, epoch int64) *sealedCustomer {
	c := h.customers[h.lookups[mac]]
	if c == nil || c.row == nil || c.row.epoch != epoch {
		return nil // it has moved since, and its HMAC with it
	}
	return c.row
}

// foundCustomer remembers a customer's row and how it was found. It must be where its epoch says.
func (h *hot) foundCustomer(s sealedCustomer, mac [32]byte) {
	c := h.of(s.id)
	c.row, c.macs = &s, nil
	h.lookups[mac] = s.id
}

// wroteCustomer remembers a customer's row that was written, and all by which it is found.
func (h *hot) wroteCustomer(s sealedCustomer, macs [2][32]byte) {
	h.changed = true
	c := h.of(s.id)
	c.row, c.macs = &s, &macs
	h.written.customers = append(h.written.customers, s.id)
	for _, mac := range macs {
		h.lookups[mac] = s.id
	}
}

// indexed says whether a customer's row is known to be in the indexes as it will be.
func (h *hot) indexed(id CustomerID, epoch int64, macs [2][32]byte) bool {
	c := h.customers[id]
	return c != nil && c.row != nil && c.row.epoch == epoch && c.macs != nil && *c.macs == macs
}

// putChild remembers a written row among those of its customer, if these are known.
func putChild(known *[]child, row child) {
	if known == nil {
		return
	}
	if i := slices.IndexFunc(*known, func(c child) bool { return c.id == row.id }); i >= 0 {
		(*known)[i] = row
		return
	}
	*known = append(*known, row) // ids grow
}

// putQueued remembers all of a customer's jobs in a queue, in place of another queue's.
func (h *hot) putQueued(id CustomerID, q queued) {
	h.forgetQueued(id)
	h.of(id).queued = &q
	for _, job := range q.ids {
		h.jobs[job] = id
	}
}

// forgetQueued forgets a customer's jobs.
func (h *hot) forgetQueued(id CustomerID) {
	c := h.customers[id]
	if c == nil || c.queued == nil {
		return
	}
	for _, job := range c.queued.ids {
		delete(h.jobs, job)
	}
	c.queued = nil
}

// queuedFor returns a customer's jobs in a queue, nil when they are not known.
func (h *hot) queuedFor(id CustomerID, queue string) *queued {
	c := h.customers[id]
	if c == nil || c.queued == nil || c.queued.queue != queue {
		return nil
	}
	return c.queued
}

// addJob notes that a job was added to a queue, and the message that it is about.
func (h *hot) addJob(queue string, id CustomerID, job int64, message string) {
	q := h.queuedFor(id, queue)
	if q == nil {
		return
	}
	h.changed = true
	if len(q.ids) == maxHotQueued {
		h.forgetQueued(id)
		return
	}
	q.ids, q.messages = append(q.ids, job), append(q.messages, message)
	h.jobs[job] = id
}

// textFinish removes a job. All removals use it: by it the writer knows to forget the job.
const textFinish = `DELETE FROM jobs WHERE id = ?`

// dropJob notes that a job was removed, or moved into another queue.
func (h *hot) dropJob(job int64) {
	id, ok := h.jobs[job]
	if !ok {
		return // then it is in no list
	}
	h.changed = true
	q := h.customers[id].queued
	i := slices.Index(q.ids, job)
	q.ids, q.messages = slices.Delete(q.ids, i, i+1), slices.Delete(q.messages, i, i+1)
	delete(h.jobs, job)
}

// messageRows are the messages' rows that came last, within the bounds.
type messageRows struct {
	rows  map[string]sealedMessage
	ids   []string // in the order in which they came
	bytes int      // of their sealed values
}

// put adds a row, or replaces it.
func (r *messageRows) put(s sealedMessage) {
	if r.rows == nil {
		r.rows = map[string]sealedMessage{}
	}
	if old, ok := r.rows[s.id]; ok {
		r.bytes -= len(old.sealed)
	} else {
		r.ids = append(r.ids, s.id)
	}
	r.rows[s.id] = s
	r.bytes += len(s.sealed)
	for len(r.ids) > maxHotMessages || r.bytes > maxHotBytes {
		r.bytes -= len(r.rows[r.ids[0]].sealed)
		delete(r.rows, r.ids[0])
		r.ids = r.ids[1:]
	}
}

// lately holds messages and customers as they were committed last, for those who read beside the writer and need no
// snapshot.
type lately struct {
	mu   sync.Mutex // guards rows
	rows latelyRows
}

type latelyRows struct {
	messages  messageRows
	customers map[CustomerID]sealedCustomer // maxHotCustomers at most
}

// adopt takes over what a group that is durable wrote.
func (l *lately) adopt(h *hot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.lost {
		l.rows = latelyRows{}
	}
	for _, id := range h.written.messages {
		if s, ok := h.messages.rows[id]; ok {
			l.rows.messages.put(s)
		} else { // there were too many
			l.rows.messages = messageRows{}
		}
	}
	for _, id := range h.written.customers {
		c := h.customers[id]
		if c == nil || c.row == nil { // there were too many
			l.rows.customers = nil
			continue
		}
		if _, known := l.rows.customers[id]; !known && (l.rows.customers == nil || len(l.rows.customers) >= maxHotCustomers) {
			l.rows.customers = map[CustomerID]sealedCustomer{}
		}
		l.rows.customers[id] = *c.row
	}
	h.written.messages, h.written.customers, h.lost = h.written.messages[:0], h.written.customers[:0], false
}

// forget forgets everything.
func (l *lately) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = latelyRows{}
}

// message returns a message's row, if it is known.
func (l *lately) message(id string) (s sealedMessage, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok = l.rows.messages.rows[id]
	return s, ok
}

// customer returns a customer's row, if it is known.
func (l *lately) customer(id CustomerID) (s sealedCustomer, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok = l.rows.customers[id]
	return s, ok
}
