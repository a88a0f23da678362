package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/test/racing"
)

// others is the first lane of those of whom nobody is unreachable, and of their ids.
const others = 1_000_000

// customers is a worker of whose lanes those before others are unreachable until they
// are not.
type customers struct {
	*memory
	*diary
	reachable atomic.Bool
}

func (c *customers) work(_ context.Context, j queue.Job) queue.Result {
	c.begin(j.ID)
	defer c.end()
	if j.Lane < others && !c.reachable.Load() {
		return queue.Retry(time.Minute)
	}
	c.finish(j.ID)
	return queue.Done()
}

// done returns how many jobs of other lanes are done.
func (c *customers) done() int {
	c.diary.mu.Lock()
	defer c.diary.mu.Unlock()
	n := 0
	for _, id := range c.tried {
		if id >= others {
			n++
		}
	}
	return n
}

// backlogs are what unreachable customers may have: lanes, each with jobs; few are those that take little time.
func backlogs(few bool) map[string]struct{ lanes, jobs int } {
	b := map[string]struct{ lanes, jobs int }{
		"one with 5,000 jobs":   {1, 5000},
		"100 with 64 jobs each": {100, 64},
	}
	if !few {
		b["2,000 with a job each"] = struct{ lanes, jobs int }{2000, 1}
	}
	return b
}

func TestLane_UnreachableKeepsNoOtherWaiting(t *testing.T) {
	for name, b := range backlogs(racing.Enabled) {
		for _, workers := range []int{1, 256} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := &customers{memory: &memory{}, diary: newDiary()}
					for lane := range b.lanes {
						c.fill(int64(lane+1), int64(lane*b.jobs+1), b.jobs)
					}
					run(t, queue.Options{Backend: c, HoldLane: true, Workers: workers, Worker: c.work})
					synctest.Wait()
					for i := range int64(100) {
						c.add(queue.Job{ID: others + i, Lane: others + i, NotBefore: time.Now()})
					}
					synctest.Wait()
					if n := c.done(); n != 100 {
						t.Errorf("%d of the 100 jobs of others were done at once", n)
					}
					elapse(10 * time.Minute)
					synctest.Wait()
					c.reachable.Store(true)
					elapse(time.Minute + time.Millisecond)
					synctest.Wait()
					if len(c.jobs) != 0 {
						t.Errorf("%d jobs are left a minute after all could be reached", len(c.jobs))
					}
				})
			})
		}
	}
}

func TestLane_HeldKeepsItsOrderThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		c := &customers{memory: &memory{}, diary: newDiary()}
		c.fill(1, 1, n)
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			r, done := queue.New(queue.Options{Backend: c, HoldLane: true, Workers: 256, Worker: c.work}), make(chan struct{})
			go func() { defer close(done); _ = r.Run(ctx) }()
			elapse(150 * time.Second)
			synctest.Wait()
			cancel()
			<-done
		}
		if want := []int64{1, 1, 1, 1, 1, 1}; !slices.Equal(c.tried, want) || c.jobs[0].Attempts != len(want) {
			t.Fatalf("tried %v, which counted as %d attempts; want the first job alone, %d times", c.tried, c.jobs[0].Attempts, len(want))
		}
		c.tried = nil
		c.reachable.Store(true)
		run(t, queue.Options{Backend: c, HoldLane: true, Workers: 256, Worker: c.work})
		synctest.Wait()
		if len(c.tried) != n || !slices.IsSorted(c.tried) {
			t.Errorf("%d jobs were done, in order: %v; want %d", len(c.tried), slices.IsSorted(c.tried), n)
		}
	})
}

func TestBacklog_IsReadAboutOnce(t *testing.T) {
	for name, b := range backlogs(racing.Enabled) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &customers{memory: &memory{}, diary: newDiary()}
				for lane := range b.lanes {
					c.fill(int64(lane+1), int64(lane*b.jobs+1), b.jobs)
				}
				run(t, queue.Options{Backend: c, HoldLane: true, Workers: 256, Worker: c.work})
				synctest.Wait()
				_, before, _ := c.memory.count()
				elapse(10*time.Minute + time.Second)
				synctest.Wait()
				// An attempt reads at most as many jobs of its lane as may be in memory.
				_, opened, _ := c.memory.count()
				if n, most := opened-before, 10*b.lanes*min(b.jobs, 4); n > most {
					t.Errorf("%d jobs were opened in ten minutes in which each lane was tried ten times, want at most %d", n, most)
				}
				before = opened
				c.reachable.Store(true)
				elapse(time.Minute)
				synctest.Wait()
				left, opened, _ := c.memory.count()
				if n, all := opened-before, b.lanes*b.jobs; left > 0 || n > all {
					t.Errorf("%d jobs were opened to do all but %d of %d", n, left, all)
				}
			})
		})
	}
}

func TestLanes_ManySlowLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, workers := range []int{2, 40, 256} {
			const each = 100
			m, d := &memory{}, newDiary()
			for lane := range int64(workers - 1) {
				m.fill(lane+1, lane*each+1, each)
			}
			run(t, queue.Options{Backend: m, Workers: workers, HoldLane: true, Worker: func(ctx context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				if j.Lane < others {
					<-ctx.Done()
					return queue.Later(0)
				}
				m.finish(j.ID)
				return queue.Done()
			}})
			synctest.Wait()
			m.add(queue.Job{ID: others, Lane: others, NotBefore: time.Now()})
			synctest.Wait()
			if len(d.order(others)) != 1 {
				t.Errorf("%d workers, one of which had nothing to do: the job of another lane waits", workers)
			}
		}
	})
}

func TestLane_LongTakesTurnsWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		m.fill(1, 1, 5000)
		m.fill(2, others, 10)
		run(t, queue.Options{Backend: m, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			elapse(time.Second)
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(30 * time.Second)
		if n := len(d.order(others, others+9)); n != 2 {
			t.Error("a lane with ten jobs waits for one with 5,000")
		}
	})
}

func TestHurryReachesWhatIsNotInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes, each = 5, 600
		for _, hold := range []bool{false, true} {
			m, d := &memory{}, newDiary()
			for id := range int64(lanes * each) {
				m.add(queue.Job{ID: id + 1, Lane: id%lanes + 1})
			}
			var fails atomic.Bool
			fails.Store(true)
			r := run(t, queue.Options{Backend: m, Workers: 8, HoldLane: hold, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				elapse(time.Millisecond)
				if fails.Load() {
					return queue.Later(24 * time.Hour)
				}
				m.finish(j.ID)
				return queue.Done()
			}})
			once := lanes * each
			if hold {
				once = lanes // the others wait behind those that fail
			}
			for range 3 {
				elapse(time.Minute)
				synctest.Wait()
				if n := d.count(); n != once {
					t.Errorf("hold %v: %d attempts, want %d", hold, n, once)
				}
				d.tried = nil
				r.Hurry()
			}
			elapse(time.Minute)
			fails.Store(false)
			r.Hurry()
			elapse(time.Minute)
			synctest.Wait()
			if len(m.jobs) != 0 {
				t.Errorf("hold %v: %d jobs are left", hold, len(m.jobs))
			}
		}
	})
}

// ahead is a job that was added before the clock was set back by a day.
func ahead(id, lane int64) queue.Job {
	added := time.Now().Add(24 * time.Hour)
	return queue.Job{ID: id, Lane: lane, NotBefore: added, Created: added}
}

func TestJob_WaitingInALongLaneIsTriedAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hold := range []bool{false, true} {
			m, d := &memory{}, newDiary()
			for id := range int64(3000) {
				m.add(ahead(id+1, id%3+1))
			}
			var fails atomic.Bool
			fails.Store(hold)
			run(t, queue.Options{Backend: m, Workers: 256, HoldLane: hold, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				if fails.Load() {
					return queue.Retry(time.Second)
				}
				m.finish(j.ID)
				return queue.Done()
			}})
			synctest.Wait()
			fails.Store(false)
			elapse(time.Second)
			synctest.Wait()
			if len(m.jobs) != 0 {
				t.Errorf("hold %v: %d jobs wait for their time", hold, len(m.jobs))
			}
			for lane := range int64(3) {
				ids := slices.DeleteFunc(slices.Clone(d.tried), func(id int64) bool { return (id-1)%3 != lane })
				if !slices.IsSorted(ids) {
					t.Errorf("hold %v: lane %d ran as %v", hold, lane+1, ids)
				}
			}
		}
	})
}

func TestLane_LongContinuesWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hold := range []bool{false, true} {
			m, c, d := &memory{}, &clock{}, newDiary()
			run(t, queue.Options{Backend: m, HoldLane: hold, Workers: 256, Now: c.now, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				switch {
				case j.ID == 1:
					elapse(time.Minute) // till the others are there
				case j.ID == 50:
					c.set(-time.Hour)
				case j.ID == 60 && len(d.order(60)) == 1:
					return queue.Retry(time.Second)
				}
				m.finish(j.ID)
				return queue.Done()
			}})
			synctest.Wait()
			for id := range int64(100) {
				m.add(queue.Job{ID: id + 1, Lane: 1, NotBefore: c.now(), Created: c.now()})
				elapse(500 * time.Millisecond)
			}
			elapse(20 * time.Second)
			synctest.Wait()
			if len(m.jobs) != 0 || len(d.tried) != 101 {
				t.Errorf("hold %v: %d jobs wait for the clock to be where it was", hold, len(m.jobs))
			}
			if at := d.at[60]; len(at) != 2 || at[1]-at[0] != time.Second {
				t.Errorf("hold %v: the job that failed ran at %v, want a second between", hold, at)
			}
		}
	})
}

func TestLanesAreHeldEachUntilItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		waits := map[int64]time.Duration{1: time.Second, 2: time.Hour, 3: 40 * time.Second, 4: 7 * time.Second, 5: 2 * time.Second}
		for id := range int64(4) {
			m.add(queue.Job{ID: id + 1, Lane: id + 1})
		}
		m.add(queue.Job{ID: 5}) // of no lane
		run(t, queue.Options{Backend: m, HoldLane: true, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			if len(d.order(j.ID)) < 3 {
				return queue.Retry(waits[j.ID])
			}
			m.finish(j.ID)
			return queue.Done()
		}})
		elapse(3 * time.Hour)
		synctest.Wait()
		for id, wait := range waits {
			if want := []time.Duration{0, wait, 2 * wait}; !slices.Equal(d.at[id], want) {
				t.Errorf("job %d ran at %v, want %v", id, d.at[id], want)
			}
		}
	})
}

func TestJob_TriedBeforeItsTimeIsTriedAgainBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		m.add(ahead(1, 1))
		run(t, queue.Options{Backend: m, HoldLane: true, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			elapse(time.Second)
			return queue.Retry(time.Second)
		}})
		elapse(4500 * time.Millisecond)
		synctest.Wait()
		if want := []time.Duration{0, 2 * time.Second, 4 * time.Second}; !slices.Equal(d.at[1], want) {
			t.Errorf("the job ran at %v, want %v", d.at[1], want)
		}
	})
}

func TestMemoryIsBoundedHoweverManyLanesAreLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes, each = 500, 20
		m := &memory{}
		for id := range int64(lanes * each) {
			m.add(queue.Job{ID: id + 1, Lane: id%lanes + 1})
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, done := queue.New(queue.Options{Backend: m, HoldLane: true, Worker: func(_ context.Context, j queue.Job) queue.Result {
			if j.ID <= lanes && j.Attempts == 0 {
				return queue.Retry(time.Minute)
			}
			m.finish(j.ID)
			return queue.Done()
		}}), make(chan struct{})
		go func() {
			defer close(done)
			r.RunWatched(ctx, func(wrong string) { t.Error(wrong); cancel() })
		}()
		elapse(time.Minute)
		synctest.Wait()
		cancel()
		<-done
		if len(m.jobs) != 0 {
			t.Errorf("%d jobs are left", len(m.jobs))
		}
	})
}

func TestJob_NewIsTakenOverWithoutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &customers{memory: &memory{}, diary: newDiary()}
		c.fill(1, 1, 5000)
		run(t, queue.Options{Backend: c, HoldLane: true, Workers: 256, Worker: c.work})
		synctest.Wait()
		_, openedBefore, passedBefore := c.memory.count()
		for i := range int64(100) {
			c.add(queue.Job{ID: others + i, Lane: others, NotBefore: time.Now()})
			synctest.Wait()
		}
		left, opened, passed := c.memory.count()
		if left != 5000 || opened != openedBefore || passed != passedBefore {
			t.Errorf("%d jobs are left, %d were opened and %d passed over to do 100", left, opened-openedBefore, passed-passedBefore)
		}
	})
}

func TestLane_FailedReadIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hold := range []bool{false, true} {
			m, d := &memory{}, newDiary()
			m.fill(1, 1, 200)
			run(t, queue.Options{Backend: m, HoldLane: hold, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				if j.ID == 64 {
					m.breakDown()
				}
				m.finish(j.ID)
				return queue.Done()
			}})
			elapse(9500 * time.Millisecond)
			if tried := m.mend(); tried < 5 || tried > 20 {
				t.Errorf("hold %v: tried to read %d times in ten seconds", hold, tried)
			}
			elapse(time.Second)
			synctest.Wait()
			if len(m.jobs) != 0 || len(d.tried) != 200 || !slices.IsSorted(d.tried) {
				t.Errorf("hold %v: %d jobs are left after %v", hold, len(m.jobs), d.tried)
			}
		}
	})
}

// full is a Backend on a disk that takes no more.
type full struct{ *memory }

func (full) Postpone(context.Context, []queue.Job) error {
	return errors.New("disk is full")
}

func TestLane_DoesNotSpinOnAFullDisk(t *testing.T) {
	for _, n := range []int{64, 65, 200} {
		synctest.Test(t, func(t *testing.T) {
			m, d := &memory{}, newDiary()
			m.fill(1, 1, n)
			run(t, queue.Options{Backend: full{m}, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				elapse(time.Millisecond)
				return queue.Retry(time.Minute)
			}})
			elapse(90 * time.Second)
			synctest.Wait()
			if got := d.order(1); len(got) != 2 {
				t.Errorf("of %d jobs the first was tried %d times in a minute and a half, want 2", n, len(got))
			}
		})
	}
}

func TestJob_PutOffWaitsNoLongerWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, d := &memory{}, &clock{}, newDiary()
		now := c.now()
		m.add(queue.Job{ID: 1, Lane: 1, Created: now, NotBefore: now.Add(10 * time.Second)})
		run(t, queue.Options{Backend: m, HoldLane: true, Now: c.now, Worker: func(_ context.Context, j queue.Job) queue.Result {
			d.begin(j.ID)
			m.finish(j.ID)
			return queue.Done()
		}})
		synctest.Wait()
		c.set(-24 * time.Hour)
		elapse(time.Minute)
		synctest.Wait()
		if len(d.tried) != 1 {
			t.Error("a job that was put off for ten seconds has not run within a minute")
		}
	})
}

func TestClock_SmallStepHurriesNothingAndLosesNoTime(t *testing.T) {
	for _, hold := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, c, d := &memory{}, &clock{}, newDiary()
			m.add(queue.Job{ID: 1, Lane: 1, Created: c.now(), NotBefore: c.now()})
			run(t, queue.Options{Backend: m, HoldLane: hold, Now: c.now, Worker: func(_ context.Context, j queue.Job) queue.Result {
				d.begin(j.ID)
				if j.ID == 1 {
					return queue.Retry(24 * time.Hour)
				}
				m.finish(j.ID)
				return queue.Done()
			}})
			synctest.Wait()
			for id := range int64(10) {
				c.set(-5 * time.Millisecond)
				m.add(queue.Job{ID: id + 2, Lane: 2, Created: c.now(), NotBefore: c.now()})
				synctest.Wait()
				if len(d.order(id+2)) != 1 {
					t.Errorf("hold %v: a job that was added after the step has not run at once", hold)
				}
			}
			if len(d.order(1)) != 1 {
				t.Errorf("hold %v: a job in back-off was tried %d times", hold, len(d.order(1)))
			}
		})
	}
}
