package queue

import "time"

// cursor is how far the queue was read.
type cursor struct {
	more  bool  // there may be jobs behind it that are not in memory
	after Place // the place that was read to
	all   bool  // jobs are read whatever their time, until there are no more
	last  Place // of all jobs that came into memory when they were due; it does not go back
}

// rewind goes back to the queue's start. Jobs that are in memory are skipped.
func (c *cursor) rewind() { c.after, c.more = Place{}, true }

// follows says whether a job stands behind what was read, and behind all that is or was in memory.
func (c *cursor) follows(j Job) bool { return j.place().after(c.after) && j.place().after(c.last) }

// took notes that a job came into memory.
func (c *cursor) took(j Job, now time.Time) {
	if !j.NotBefore.After(now) && j.place().after(c.last) {
		c.last = j.place()
	}
}

// read notes that the queue was read up to a place. When that was the end it says so,
// and whether the end of what is read whatever its time was reached with it.
func (c *cursor) read(to Place, full bool) (allRead bool) {
	c.after, c.more = to, full
	allRead = !full && c.all
	c.all = c.all && full
	return allRead
}
