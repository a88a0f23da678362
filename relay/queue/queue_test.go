package queue_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/queue"
)

// memory is a Backend that forgets at the process's end.
type memory struct {
	mu     sync.Mutex
	jobs   []*queue.Job           // in their order
	lanes  map[int64][]*queue.Job // the same by lane
	ids    map[int64]*queue.Job   // and by id
	fail   error                  // of the next Due
	broken int                    // how often Due failed since it always does; 0 when it does not
	opened int                    // jobs that were read
	passed int                    // jobs that were passed over
	added  func(queue.Job)        // the runner's; nil while there is none
	vague  int64                  // of every so many jobs it only says that something changed; 0: it names all
}

// Announce tells of what is added.
func (m *memory) Announce(added func(queue.Job), changed func()) (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.added = func(j queue.Job) {
		if m.vague > 0 && j.ID%m.vague == 0 {
			changed()
			return
		}
		added(j)
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.added = nil
	}
}

func inOrder(a, b *queue.Job) int {
	return cmp.Or(a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.ID, b.ID))
}

func (m *memory) Due(_ context.Context, q queue.Query) (due []queue.Job, to queue.Place, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return nil, q.After, err
	}
	if m.broken > 0 {
		m.broken++
		return nil, q.After, errors.New("disk")
	}
	jobs := m.jobs
	if to = q.After; q.Lane != 0 {
		jobs = m.lanes[q.Lane]
	}
	i, _ := slices.BinarySearchFunc(jobs, &queue.Job{NotBefore: q.After.NotBefore, ID: q.After.ID + 1}, inOrder)
	for _, j := range jobs[i:] {
		if j.NotBefore.After(q.Now) || len(due) >= q.Limit {
			break
		}
		to = queue.Place{NotBefore: j.NotBefore, ID: j.ID}
		head := *j
		head.Body = nil
		if q.Skip != nil && q.Skip(head) {
			m.passed++
			continue
		}
		m.opened++
		due = append(due, *j)
	}
	return due, to, nil
}

func (m *memory) Postpone(_ context.Context, jobs []queue.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, now := range jobs {
		if j := m.remove(now.ID); j != nil {
			j.NotBefore, j.Attempts = now.NotBefore, now.Attempts
			m.put(j)
		}
	}
	return nil
}

// put adds a job. The caller holds mu.
func (m *memory) put(j *queue.Job) {
	insert := func(jobs []*queue.Job) []*queue.Job {
		i, _ := slices.BinarySearchFunc(jobs, j, inOrder)
		return slices.Insert(jobs, i, j)
	}
	if m.ids == nil {
		m.ids, m.lanes = map[int64]*queue.Job{}, map[int64][]*queue.Job{}
	}
	m.jobs, m.lanes[j.Lane], m.ids[j.ID] = insert(m.jobs), insert(m.lanes[j.Lane]), j
}

// remove takes a job out and returns it, or nil when it is not there. The caller holds mu.
func (m *memory) remove(id int64) *queue.Job {
	j := m.ids[id]
	if j == nil {
		return nil
	}
	without := func(jobs []*queue.Job) []*queue.Job {
		i, _ := slices.BinarySearchFunc(jobs, j, inOrder)
		return slices.Delete(jobs, i, i+1)
	}
	m.jobs, m.lanes[j.Lane] = without(m.jobs), without(m.lanes[j.Lane])
	delete(m.ids, id)
	return j
}

// count returns how many jobs there are, and how many were opened and passed over.
func (m *memory) count() (jobs, opened, passed int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.jobs), m.opened, m.passed
}

// breakDown has the queue not be read until mend, which returns how often it was tried.
func (m *memory) breakDown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = 1
}

func (m *memory) mend() (tried int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tried, m.broken = m.broken-1, 0
	return tried
}

// failOnce has the queue not be read the next time.
func (m *memory) failOnce() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = errors.New("disk")
}

func (m *memory) finish(id int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(id)
}

func (m *memory) add(jobs ...queue.Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range jobs {
		m.put(&j)
		if m.added != nil {
			m.added(j)
		}
	}
}

// fill adds jobs of one lane whose ids count on from a first.
func (m *memory) fill(lane, first int64, n int) {
	jobs := make([]queue.Job, n)
	for i := range jobs {
		jobs[i] = queue.Job{ID: first + int64(i), Lane: lane}
	}
	m.add(jobs...)
}

// diary notes which jobs were tried, in order and when.
type diary struct {
	mu      sync.Mutex
	tried   []int64
	at      map[int64][]time.Duration
	start   time.Time
	running int
	most    int
}

func newDiary() *diary { return &diary{at: map[int64][]time.Duration{}, start: time.Now()} }

func (d *diary) begin(id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried = append(d.tried, id)
	d.at[id] = append(d.at[id], time.Since(d.start))
	d.running++
	d.most = max(d.most, d.running)
}

func (d *diary) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
}

func (d *diary) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tried)
}

func (d *diary) order(ids ...int64) []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.tried), func(id int64) bool { return !slices.Contains(ids, id) })
}

// elapse lets time pass on the clock of a synctest bubble.
func elapse(d time.Duration) { <-time.After(d) }

// run starts a runner within a synctest bubble and returns it; the test's end stops it.
func run(t *testing.T, o queue.Options) *queue.Runner {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := queue.New(o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func TestLanes_KeepTheirOrderAndRunInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		for id := range int64(30) {
			m.add(queue.Job{ID: id + 1, Lane: id%3 + 1})
		}
		run(t, queue.Options{Backend: m, Workers: 3, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			defer d.end()
			elapse(time.Second)
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(10*time.Second + time.Millisecond)
		synctest.Wait()
		if len(m.jobs) != 0 {
			t.Fatalf("%d jobs left after the time that three lanes at once need", len(m.jobs))
		}
		if got := d.order(1, 4, 7, 10, 13); !slices.IsSorted(got) {
			t.Errorf("lane 1 ran as %v", got)
		}
		if d.most != 3 {
			t.Errorf("%d jobs ran at once, want 3", d.most)
		}
	})
}

func TestRetry_HoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		m.add(queue.Job{ID: 1, Lane: 7}, queue.Job{ID: 2, Lane: 7})
		run(t, queue.Options{Backend: m, Workers: 2, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			defer d.end()
			if j.ID == 1 && j.Attempts < 2 {
				return queue.Retry(10 * time.Second)
			}
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(time.Minute)
		synctest.Wait()
		if got := d.order(1, 2); !slices.Equal(got, []int64{1, 2, 1, 1}) {
			t.Errorf("ran %v, want 1 2 1 1", got)
		}
		if want := []time.Duration{0, 10 * time.Second, 20 * time.Second}; !slices.Equal(d.at[1], want) {
			t.Errorf("job 1 ran at %v, want %v", d.at[1], want)
		}
	})
}

func TestLane_HeldKeepsItsOrderAndOthersContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		m.add(queue.Job{ID: 1, Lane: 7}, queue.Job{ID: 2, Lane: 7}, queue.Job{ID: 3, Lane: 8})
		run(t, queue.Options{Backend: m, HoldLane: true, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			defer d.end()
			if j.ID == 1 && j.Attempts < 2 {
				return queue.Retry(5 * time.Second)
			}
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(time.Minute)
		synctest.Wait()
		if got := d.order(1, 2, 3); !slices.Equal(got, []int64{1, 3, 1, 1, 2}) {
			t.Errorf("ran %v, want 1 3 1 1 2", got)
		}
		if want := []time.Duration{10 * time.Second}; !slices.Equal(d.at[2], want) {
			t.Errorf("job 2 ran at %v, want %v", d.at[2], want)
		}
	})
}

func TestQueue_ClosedWaitsUntilWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		open := false
		m.add(queue.Job{ID: 1})
		r := run(t, queue.Options{Backend: m, Open: func() bool { return open }, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(time.Hour)
		synctest.Wait()
		if len(d.tried) != 0 {
			t.Fatal("a closed queue ran a job")
		}
		open = true
		r.Wake()
		synctest.Wait()
		if len(d.tried) != 1 {
			t.Error("an open queue did not run its job")
		}
	})
}

func TestHurryTriesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			hold  bool
			waits queue.Result
		}{
			"what failed":                         {false, queue.Retry(24 * time.Hour)},
			"what could not be tried":             {false, queue.Later(24 * time.Hour)},
			"what holds a lane and was not tried": {true, queue.Later(24 * time.Hour)},
		} {
			m, d := &memory{}, newDiary()
			m.add(queue.Job{ID: 1, Lane: 1})
			r := run(t, queue.Options{Backend: m, HoldLane: c.hold, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				return c.waits
			}})
			synctest.Wait()
			r.Hurry()
			synctest.Wait()
			if got := len(d.order(1)); got != 2 {
				t.Errorf("%s was tried %d times, want 2", name, got)
			}
		}
	})
}

// TestHurryUsesUpNoTriesOfHeldLanes: a caller that hurries each time a link comes up does so
// as often as the link breaks.
func TestHurryUsesUpNoTriesOfHeldLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		now := time.Now()
		m.add(queue.Job{ID: 1, Lane: 1, Created: now, NotBefore: now})                               // fails
		m.add(queue.Job{ID: 2, Lane: 2, Created: now, NotBefore: now.Add(10 * time.Second)})         // was put off
		m.add(queue.Job{ID: 3, Lane: 3, Created: now.Add(time.Hour), NotBefore: now.Add(time.Hour)}) // the clock was set back
		r := run(t, queue.Options{Backend: m, HoldLane: true, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			if j.ID == 1 && j.Attempts == 0 {
				return queue.Retry(10 * time.Second)
			}
			m.finish(j.ID)
			return queue.Done()
		}})
		for range 20 {
			elapse(time.Second)
			r.Hurry()
		}
		synctest.Wait()
		for id, want := range map[int64][]time.Duration{1: {0, 10 * time.Second}, 2: {10 * time.Second}, 3: {0}} {
			if !slices.Equal(d.at[id], want) {
				t.Errorf("job %d was tried at %v, want %v", id, d.at[id], want)
			}
		}
	})
}

// TestJob_PutOffRunsAtItsTimeAfterARestart: nobody wakes the queue for it then.
func TestJob_PutOffRunsAtItsTimeAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		now := time.Now()
		for id := range int64(3) {
			m.add(queue.Job{ID: id + 1, Lane: 7, Created: now, NotBefore: now.Add(time.Duration(id+1) * 5 * time.Second)})
		}
		run(t, queue.Options{Backend: m, HoldLane: true, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(time.Minute)
		synctest.Wait()
		for id := range int64(3) {
			if want := []time.Duration{time.Duration(id+1) * 5 * time.Second}; !slices.Equal(d.at[id+1], want) {
				t.Errorf("job %d was tried at %v, want %v", id+1, d.at[id+1], want)
			}
		}
	})
}

func TestHurryTriesOnceWhatFailsAgainHoweverMuchThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		const n = 3000
		for id := range int64(n) {
			m.add(queue.Job{ID: id + 1, Lane: id%50 + 1, NotBefore: time.Now().Add(time.Minute)})
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := queue.New(queue.Options{Backend: m, Workers: 8, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			defer d.end()
			if d.count() > 4*n {
				cancel() // it would never end
			}
			elapse(time.Millisecond)
			return queue.Retry(time.Hour)
		}})
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		elapse(30 * time.Minute)
		synctest.Wait()
		cancel()
		<-done
		for id := range int64(n) {
			if got := len(d.at[id+1]); got != 1 {
				t.Fatalf("job %d was tried %d times within the half hour, want once (%d attempts in all)", id+1, got, len(d.tried))
			}
		}
	})
}

func TestJob_WaitingIsTriedAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		m.add(queue.Job{ID: 1, NotBefore: time.Now().Add(24 * time.Hour), Attempts: 9})
		run(t, queue.Options{Backend: m, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			m.finish(j.ID)
			return queue.Done()
		}})
		synctest.Wait()
		if len(d.tried) != 1 {
			t.Error("the job still waits")
		}
	})
}

func TestMoreJobsThanFitInMemoryAllRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		const n = 5000
		for id := range int64(n) {
			m.add(queue.Job{ID: id + 1, Lane: id%10 + 1})
		}
		run(t, queue.Options{Backend: m, Workers: 4, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			defer d.end()
			m.finish(j.ID)
			return queue.Done()
		}})
		synctest.Wait()
		if len(m.jobs) != 0 || len(d.tried) != n {
			t.Errorf("%d jobs left, %d attempts; want 0 and %d", len(m.jobs), len(d.tried), n)
		}
	})
}

func TestQueue_FailedReadIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{fail: errors.New("disk")}, newDiary()
		m.add(queue.Job{ID: 1})
		run(t, queue.Options{Backend: m, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(2 * time.Second)
		synctest.Wait()
		if len(d.tried) != 1 {
			t.Error("the job was not run after the queue could be read again")
		}
	})
}

func TestStoppingLetsTheJobAtHandEndWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.add(queue.Job{ID: 1, Lane: 1}, queue.Job{ID: 2, Lane: 2}, queue.Job{ID: 3, Lane: 1})
		ctx, cancel := context.WithCancel(t.Context())
		var cut, whole bool
		r := queue.New(queue.Options{Backend: m, Workers: 2, Grace: time.Second, Worker: func(ctx context.Context, j queue.Job) queue.Result {
			wait := 500 * time.Millisecond
			if j.ID == 2 {
				wait = time.Hour
			}
			select {
			case <-ctx.Done():
				cut = true
				return queue.Retry(0)
			case <-time.After(wait):
				whole = true
				m.finish(j.ID)
				return queue.Done()
			}
		}})
		time.AfterFunc(100*time.Millisecond, cancel)
		start := time.Now()
		if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		if !whole || !cut || time.Since(start) > 2*time.Second {
			t.Errorf("whole %v, cut %v, took %v", whole, cut, time.Since(start))
		}
		if len(m.jobs) != 2 || m.jobs[1].ID != 2 || m.jobs[1].Attempts != 1 || m.jobs[0].Attempts != 0 {
			t.Errorf("%d are left, want job 2 with one attempt and job 3 untried", len(m.jobs))
		}
	})
}

func TestJob_NotTriedCountsAsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hold := range []bool{false, true} {
			m, d := &memory{}, newDiary()
			m.add(queue.Job{ID: 1, Lane: 1})
			attempts := -1
			run(t, queue.Options{Backend: m, HoldLane: hold, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				if len(d.tried) < 5 {
					return queue.Later(time.Second)
				}
				attempts = j.Attempts
				m.finish(j.ID)
				return queue.Done()
			}})
			elapse(time.Minute)
			synctest.Wait()
			if attempts != 0 {
				t.Errorf("hold %v: %d attempts counted, want none", hold, attempts)
			}
		}
	})
}

func TestJob_NewRunsThoughTheCursorIsPastIt(t *testing.T) {
	for name, c := range map[string]struct {
		waits time.Duration // of a job that was read before
		back  time.Duration // by which the clock is set back then
	}{
		"past jobs of later times":         {waits: 24 * time.Hour},
		"before the clock was set back":    {back: time.Hour},
		"to the present, as is the custom": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, d := &memory{}, newDiary()
				var back time.Duration
				now := func() time.Time { return time.Now().Add(-back) }
				m.add(queue.Job{ID: 1, NotBefore: now().Add(c.waits)})
				run(t, queue.Options{Backend: m, Now: now, Worker: func(_ context.Context, j queue.Job) queue.Result {
					d.begin(j.ID)
					m.finish(j.ID)
					return queue.Done()
				}})
				synctest.Wait()
				back = c.back
				m.add(queue.Job{ID: 2, NotBefore: now()})
				synctest.Wait()
				if got := d.order(1, 2); !slices.Equal(got, []int64{1, 2}) {
					t.Errorf("ran %v, want 1 2", got)
				}
			})
		})
	}
}
