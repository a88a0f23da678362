package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/queue"
)

// batches notes what was done at once, and says what becomes of each job.
type batches struct {
	m *memory
	// result is what becomes of a job; nil for Done.
	result func(queue.Job) queue.Result

	mu  sync.Mutex
	did [][]int64
}

func (b *batches) work(_ context.Context, jobs []queue.Job) (results []queue.Result) {
	var ids []int64
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	b.mu.Lock()
	b.did = append(b.did, ids)
	b.mu.Unlock()
	elapse(time.Second)
	for _, j := range jobs {
		res := queue.Done()
		if b.result != nil {
			res = b.result(j)
		}
		if res.Done {
			b.m.finish(j.ID)
		}
		results = append(results, res)
	}
	return results
}

func (b *batches) done() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.did)
}

func TestBatch_TakesWhatWaitsAndNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := &batches{m: m}
		m.add(queue.Job{ID: 1, Lane: 7}, queue.Job{ID: 2, Lane: 8}, queue.Job{ID: 3, Lane: 7}, queue.Job{ID: 4}, queue.Job{ID: 5, Lane: 7}, queue.Job{ID: 6, Lane: 9})
		run(t, queue.Options{Backend: m, Batch: b.work, MaxBatch: 4})
		synctest.Wait()
		m.add(queue.Job{ID: 7, Lane: 8})
		elapse(time.Minute)
		synctest.Wait()
		if got, want := b.done(), "[[1 3 5 2] [4 6 7]]"; got != want {
			t.Errorf("done at once: %s, want %s", got, want)
		}
	})
}

func TestBatch_KeepsALaneToOneWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := &batches{m: m}
		for id := range int64(10) {
			m.add(queue.Job{ID: id + 1, Lane: 7})
		}
		run(t, queue.Options{Backend: m, Batch: b.work, MaxBatch: 4, Workers: 8})
		elapse(time.Minute)
		synctest.Wait()
		if got, want := b.done(), "[[1 2 3 4] [5 6 7 8] [9 10]]"; got != want {
			t.Errorf("done at once: %s, want %s", got, want)
		}
	})
}

func TestBatch_OfAHeldLaneHasOneJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := &batches{m: m}
		m.add(queue.Job{ID: 1, Lane: 7}, queue.Job{ID: 2, Lane: 7}, queue.Job{ID: 3, Lane: 8})
		run(t, queue.Options{Backend: m, Batch: b.work, MaxBatch: 4, HoldLane: true})
		elapse(time.Minute)
		synctest.Wait()
		if got, want := b.done(), "[[1 3] [2]]"; got != want {
			t.Errorf("done at once: %s, want %s", got, want)
		}
	})
}

func TestBatch_OnlyWhatFailedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		var attempts []int
		b := &batches{m: m, result: func(j queue.Job) queue.Result {
			switch {
			case j.ID%2 == 1 || j.Attempts > 0:
				attempts = append(attempts, j.Attempts)
				return queue.Done()
			case j.ID == 4:
				return queue.Later(time.Minute)
			}
			return queue.Retry(10 * time.Second)
		}}
		for id := range int64(3) {
			m.add(queue.Job{ID: id + 1, Lane: 7, Created: time.Now()})
		}
		run(t, queue.Options{Backend: m, Batch: b.work, MaxBatch: 100})
		elapse(time.Hour)
		synctest.Wait()
		if got, want := b.done(), "[[1 2 3] [2]]"; got != want || !slices.Equal(attempts, []int{0, 0, 1}) {
			t.Errorf("done at once: %s, want %s; attempts before they were done %v", got, want, attempts)
		}
	})
}

// unwritten is a queue whose postponements fail, all at once.
type unwritten struct {
	*memory
	fails int
}

func (u *unwritten) Postpone(ctx context.Context, jobs []queue.Job) error {
	if u.fails > 0 {
		u.fails--
		return errors.New("disk")
	}
	return u.memory.Postpone(ctx, jobs)
}

func TestBatch_WhoseFailureCannotBeWrittenIsTriedAgainWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &unwritten{memory: &memory{}, fails: 1}
		tries := map[int64]int{}
		b := &batches{m: m.memory, result: func(j queue.Job) queue.Result {
			if tries[j.ID]++; j.ID == 1 || tries[j.ID] > 1 {
				return queue.Done()
			}
			return queue.Retry(10 * time.Second)
		}}
		m.add(queue.Job{ID: 1, Lane: 7}, queue.Job{ID: 2, Lane: 7}, queue.Job{ID: 3, Lane: 8}, queue.Job{ID: 4})
		run(t, queue.Options{Backend: m, Batch: b.work, MaxBatch: 100})
		elapse(time.Hour)
		synctest.Wait()
		if jobs, _, _ := m.count(); jobs != 0 || tries[1] != 1 || tries[2] != 2 || tries[3] != 2 || tries[4] != 2 {
			t.Errorf("%d jobs are left, tried %v times", jobs, tries)
		}
	})
}
