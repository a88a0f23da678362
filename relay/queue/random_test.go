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
)

// storm is a worker whose jobs take and fail as chance has it.
type storm struct {
	backend *memory
	hold    bool

	mu      sync.Mutex // guards the following fields
	random  *rand.Rand
	calm    bool // nothing fails any more
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
	s.running[j.ID] = true
	s.lanes[j.Lane]++
	length, result := time.Duration(s.random.IntN(40))*time.Millisecond, s.result()
	s.mu.Unlock()
	elapse(length)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, j.ID)
	s.lanes[j.Lane]--
	if result.Done {
		s.done[j.ID] = true
		s.order[j.Lane] = append(s.order[j.Lane], j.ID)
		s.backend.finish(j.ID)
	}
	return result
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

func TestUnderRandomSchedulesEachJobIsDoneOnceAndInItsTurn(t *testing.T) {
	for seed := range uint64(8) {
		for _, hold := range []bool{false, true} {
			for _, steps := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) { weather(t, seed, hold, steps) })
			}
		}
	}
}

// weather has jobs come, fail and be hurried, the queue fail and, with steps, the clock
// be set, until it gets calm.
func weather(t *testing.T, seed uint64, hold, steps bool) {
	random := rand.New(rand.NewPCG(seed, 0))
	m, c := &memory{}, &clock{}
	s := &storm{
		backend: m, hold: hold, random: rand.New(rand.NewPCG(seed, 1)), running: map[int64]bool{},
		lanes: map[int64]int{}, done: map[int64]bool{}, order: map[int64][]int64{},
	}
	r := run(t, queue.Options{Backend: m, Worker: s.work, Workers: 1 + random.IntN(20), HoldLane: hold, Now: c.now})
	added, lanes := int64(0), int64(1+random.IntN(30))
	for range 400 {
		switch n := random.IntN(48); {
		case n < 4:
			r.Hurry()
		case n < 8:
			m.failOnce()
		case n == 8 && steps:
			c.set(time.Duration(random.IntN(20)-10) * time.Second)
		case n < 16:
			elapse(time.Duration(random.IntN(500)) * time.Millisecond)
		default:
			for range 1 + random.IntN(20) {
				added++
				m.add(queue.Job{ID: added, Lane: random.Int64N(lanes + 1), NotBefore: c.now()})
			}
			r.Wake()
			elapse(time.Duration(random.IntN(20)) * time.Millisecond)
		}
	}
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	elapse(10 * time.Minute)
	synctest.Wait()
	s.judge(t, steps)
	if t.Failed() || len(m.jobs) > 0 {
		t.Fatalf("seed %d, held lanes %v, a clock that is set %v: %d of %d jobs are left after ten quiet minutes", seed, hold, steps, len(m.jobs), added)
	}
}

func (s *storm) judge(t *testing.T, steps bool) {
	t.Helper()
	for _, wrong := range s.wrong {
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
