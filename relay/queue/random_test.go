package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/test/nightly"
	"github.com/relaykeep/relaykeep/test/racing"
)

// storm is a worker whose jobs take and fail as chance has it.
type storm struct {
	backend *memory
	atOnce  int // more than one: several jobs at once
	hold    bool
	early   func(time.Time) bool // says that a time has not come; nil where it does not count

	mu      sync.Mutex // guards the following fields
	random  *rand.Rand
	calm    bool  // nothing fails any more but in dead lanes
	dead    int64 // lanes up to this number, in which everything fails
	running map[int64]bool
	lanes   map[int64]int     // jobs that run
	done    map[int64]bool    // jobs that are gone
	order   map[int64][]int64 // of a lane's jobs, as they were done
	wrong   []string
}

func (s *storm) work(_ context.Context, j queue.Job) queue.Result {
	s.mu.Lock()
	if s.done[j.ID] || s.running[j.ID] {
		s.wrong = append(s.wrong, fmt.Sprintf("job %d once more", j.ID))
	}
	if j.Lane != 0 && s.lanes[j.Lane] > 0 {
		s.wrong = append(s.wrong, fmt.Sprintf("two jobs of lane %d at once", j.Lane))
	}
	if j.Lane != 0 && s.early != nil && s.early(j.NotBefore) {
		s.wrong = append(s.wrong, fmt.Sprintf("job %d before its time", j.ID))
	}
	s.running[j.ID] = true
	s.lanes[j.Lane]++
	length, result := time.Duration(1+s.random.IntN(40))*time.Millisecond, s.result()
	if 0 < j.Lane && j.Lane <= s.dead {
		length, result = 0, queue.Retry([]time.Duration{time.Second, 5 * time.Minute}[s.random.IntN(2)])
	}
	s.mu.Unlock()
	if length > 0 {
		elapse(length)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, j.ID)
	s.lanes[j.Lane]--
	if result.Done {
		s.done[j.ID] = true
		if j.NotBefore.Equal(j.Created) {
			s.order[j.Lane] = append(s.order[j.Lane], j.ID)
		}
		s.backend.finish(j.ID)
	}
	return result
}

// workAll does several jobs, one after another.
func (s *storm) workAll(ctx context.Context, jobs []queue.Job) (results []queue.Result) {
	if len(jobs) > s.atOnce {
		s.set(func() { s.wrong = append(s.wrong, fmt.Sprintf("%d jobs at once", len(jobs))) })
	}
	for _, j := range jobs {
		results = append(results, s.work(ctx, j))
	}
	return results
}

// result draws what becomes of an attempt.
func (s *storm) result() queue.Result {
	delays := []time.Duration{0, time.Nanosecond, time.Millisecond, time.Second, 40 * time.Second}
	delay := delays[s.random.IntN(len(delays))]
	switch n := s.random.IntN(10); {
	case s.calm || n >= 5:
		return queue.Done()
	case n < 2:
		return queue.Later(delay)
	}
	return queue.Retry(delay)
}

// clock is one that is set.
type clock struct {
	mu  sync.Mutex
	off time.Duration // guarded by mu
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += by
}

// backlog is what some lanes have at the beginning. Where lanes are held everything
// fails in these.
type backlog struct{ lanes, jobs int64 }

func TestJobs_AreDoneOnceAndInOrderUnderRandomSchedules(t *testing.T) {
	backlogs := []backlog{{0, 0}, {40, 40}, {1, 2000}, {1200, 1}, {0, 0}, {3, 500}, {0, 0}, {100, 5}}
	if racing.Enabled {
		backlogs = backlogs[:nightly.Or(2, 1)] // all of them run without the race detector
	}
	turn := 0
	for i, b := range backlogs {
		seed := uint64(i)
		for _, hold := range []bool{false, true} {
			for _, steps := range []bool{false, true} {
				atOnce := []int{1, 2, 1, 7, 300}[turn%5]
				turn++
				synctest.Test(t, func(t *testing.T) { weather(t, seed, b, hold, steps, atOnce) })
			}
		}
	}
}

// weather has jobs come, some for later, fail and be hurried, the runner stop, the queue
// fail and, with steps, the clock be set, until it gets calm. Lanes in which everything
// fails have no part in the calm until the others are through.
func weather(t *testing.T, seed uint64, first backlog, hold, steps bool, atOnce int) {
	random := rand.New(rand.NewPCG(seed, 0))
	m, c := &memory{vague: 7}, &clock{}
	s := &storm{
		backend: m, hold: hold, atOnce: atOnce, random: rand.New(rand.NewPCG(seed, 1)), dead: first.lanes, running: map[int64]bool{},
		lanes: map[int64]int{}, done: map[int64]bool{}, order: map[int64][]int64{},
	}
	if !hold {
		s.dead = 0
	} else if !steps {
		s.early = func(at time.Time) bool { return at.After(c.now()) }
	}
	o := queue.Options{Backend: m, Worker: s.work, Workers: 1 + random.IntN(20), HoldLane: hold, Now: c.now}
	if atOnce > 1 {
		o.Batch, o.MaxBatch = s.workAll, atOnce
	}
	r, stop := s.watch(o)
	defer func() { stop() }()
	added, lanes := int64(0), 1+random.Int64N(30)
	add := func(lane int64, later time.Duration) {
		added++
		m.add(queue.Job{ID: added, Lane: lane, NotBefore: c.now().Add(later), Created: c.now()})
	}
	for i := range first.lanes * first.jobs {
		add(i%first.lanes+1, 0)
	}
	for range 400 {
		switch n := random.IntN(48); {
		case n < 4:
			r.Hurry()
		case n < 8:
			m.failOnce()
		case n == 8 && steps:
			c.set(time.Duration(random.IntN(20)-10) * time.Second)
		case n == 9:
			stop()
			r, stop = s.watch(o)
		case n == 10:
			lane := random.Int64N(lanes + 1)
			for range 300 {
				add(first.lanes+lane, 0)
			}
		case n < 18:
			elapse(time.Duration(1+random.IntN(500)) * time.Millisecond)
		default:
			for range 1 + random.IntN(20) {
				lane := random.Int64N(lanes + 1)
				if lane > 0 && random.IntN(8) > 0 {
					lane += first.lanes
				}
				later := time.Duration(0)
				if random.IntN(20) == 0 {
					later = time.Duration(1+random.IntN(60)) * time.Second
				}
				add(lane, later)
			}
			elapse(time.Duration(1+random.IntN(20)) * time.Millisecond)
		}
	}
	s.set(func() { s.calm = true })
	elapse(10 * time.Minute)
	s.judge(t, steps)
	if n := m.countAfter(first.lanes); n > 0 {
		t.Errorf("%d jobs are left after ten quiet minutes", n)
	}
	add(first.lanes+lanes+1, 0)
	elapse(time.Second)
	if n := m.countAfter(first.lanes); n > 0 {
		t.Error("a new job of a new lane waits")
	}
	s.set(func() { s.dead = 0 })
	elapse(10 * time.Minute)
	s.judge(t, steps)
	if n := m.countAfter(-1); n > 0 {
		t.Errorf("%d jobs are left after ten quiet minutes in which nothing failed", n)
	}
	if t.Failed() {
		t.Fatalf("seed %d, held lanes %v, a clock that is set %v, %d workers, %d at once, %d jobs", seed, hold, steps, o.Workers, atOnce, added)
	}
}

// watch starts a runner and returns it and what stops it.
func (s *storm) watch(o queue.Options) (r *queue.Runner, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r, done := queue.New(o), make(chan struct{})
	go func() {
		defer close(done)
		r.RunWatched(ctx, func(wrong string) { s.set(func() { s.wrong = append(s.wrong, wrong) }) })
	}()
	return r, func() { cancel(); <-done }
}

// set changes a storm.
func (s *storm) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// countAfter counts jobs of lanes after a given one, and of none.
func (m *memory) countAfter(lane int64) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.jobs {
		if j.Lane == 0 || j.Lane > lane {
			n++
		}
	}
	return n
}

func (s *storm) judge(t *testing.T, steps bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, wrong := range s.wrong[:min(20, len(s.wrong))] {
		t.Error(wrong)
	}
	if !s.hold || steps {
		return
	}
	for lane, ids := range s.order {
		if lane != 0 && !slices.IsSorted(ids) {
			t.Errorf("lane %d was done as %v", lane, ids)
		}
	}
}
