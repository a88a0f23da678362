// Package rollout decides whose turn it is when many relays are to be restarted for an update: a few of a region at a
// time, and nobody's while one that was updated does not come up again. It must not know what an update changes.
package rollout

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// Patience is how long an updated relay may take to come up before it pauses the others' updates.
	Patience = 5 * time.Minute
	// pace is about how long one update takes: who waits asks again that often, and less often the more others are before it.
	pace = 5 * time.Second
)

// Underway is an update that has begun and not come to its end.
type Underway struct {
	Relay types.NamespacedName
	Since time.Time
}

// Turns are those of all regions. The zero value knows of no update yet. Its methods are safe for concurrent use.
type Turns struct {
	mu      sync.Mutex // guards the following field
	regions map[string]*region
}

type region struct {
	underway map[types.NamespacedName]time.Time // since when
	waiting  map[types.NamespacedName]*waiting
}

// waiting is a relay that asked for its turn.
type waiting struct {
	since time.Time
	until time.Time // when it is to ask again
}

// Wait says why it is not a relay's turn, and when to ask again.
type Wait struct {
	// Paused says that an updated relay does not come up.
	Paused bool
	After  time.Duration
}

// Take gives a relay its turn if fewer than limit updates of its region are underway and each of them began less than
// Patience ago. It returns since when the relay has its turn, which it keeps until Done, or why it must wait. The first
// call for a region asks for the updates that an earlier operator began.
func (t *Turns) Take(name string, relay types.NamespacedName, limit int, now time.Time, begun func() ([]Underway, error)) (since time.Time, wait *Wait, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.regions[name]
	if r == nil {
		earlier, err := begun()
		if err != nil {
			return time.Time{}, nil, fmt.Errorf("looking for updates that have begun: %w", err)
		}
		r = &region{underway: map[types.NamespacedName]time.Time{}, waiting: map[types.NamespacedName]*waiting{}}
		for _, u := range earlier {
			r.underway[u.Relay] = u.Since
		}
		if t.regions == nil {
			t.regions = map[string]*region{}
		}
		t.regions[name] = r
	}
	if since, has := r.underway[relay]; has {
		return since, nil, nil
	}
	w := r.waiting[relay]
	if w == nil {
		w = &waiting{since: now}
		r.waiting[relay] = w
	}
	if wait = r.wait(relay, limit, now); wait != nil {
		w.until = now.Add(wait.After)
		return time.Time{}, wait, nil
	}
	delete(r.waiting, relay)
	r.underway[relay] = now
	return now, nil, nil
}

// wait says why a relay that has no turn must wait; nil if it may begin.
func (r *region) wait(relay types.NamespacedName, limit int, now time.Time) *Wait {
	for _, since := range r.underway {
		if now.Sub(since) >= Patience {
			return &Wait{true, 12 * pace}
		}
	}
	before := r.before(relay, now)
	if len(r.underway)+before < limit {
		return nil
	}
	return &Wait{false, time.Duration(1+before/(2*limit)) * pace}
}

// before is how many wait longer than a relay, and still ask.
func (r *region) before(relay types.NamespacedName, now time.Time) (n int) {
	mine := r.waiting[relay].since
	for other, w := range r.waiting {
		if other == relay || now.Sub(w.until) > Patience { // it has another trouble by now
			continue
		}
		order := w.since.Compare(mine)
		if order < 0 || order == 0 && compare(other, relay) < 0 {
			n++
		}
	}
	return n
}

func compare(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Done ends a relay's turn, and its waiting, in every region.
func (t *Turns) Done(relay types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.regions {
		delete(r.underway, relay)
		delete(r.waiting, relay)
	}
}

// Since says since when a relay has its turn; false if it has none.
func (t *Turns) Since(name string, relay types.NamespacedName) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.regions[name]
	if r == nil {
		return time.Time{}, false
	}
	since, has := r.underway[relay]
	return since, has
}
