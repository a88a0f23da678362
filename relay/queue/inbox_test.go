package queue_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/queue"
)

// does is a worker that notes each job in the diary and ends it.
func (d *diary) does(m *memory) queue.Worker {
	return func(_ context.Context, j queue.Job) queue.Result {
		d.begin(j.ID)
		m.finish(j.ID)
		return queue.Done()
	}
}

func TestAdded_RunsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		run(t, queue.Options{Backend: m, Worker: d.does(m)})
		synctest.Wait()
		for id := range int64(3000) { // more than are noted
			m.add(queue.Job{ID: id + 1, Lane: id%5 + 1, NotBefore: time.Now()})
		}
		synctest.Wait()
		if len(d.tried) != 3000 {
			t.Errorf("%d of 3000 jobs were done", len(d.tried))
		}
	})
}

func TestAdded_WhileTheQueueIsClosedRunsWhenItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d, open := &memory{}, newDiary(), false
		r := run(t, queue.Options{Backend: m, Worker: d.does(m), Open: func() bool { return open }})
		synctest.Wait()
		open = true
		r.Wake()
		synctest.Wait()
		open = false
		m.add(queue.Job{ID: 1, NotBefore: time.Now()}, queue.Job{ID: 2, NotBefore: time.Now()})
		synctest.Wait()
		m.finish(2) // its customer was erased
		open = true
		r.Wake()
		synctest.Wait()
		if !slices.Equal(d.tried, []int64{1}) {
			t.Errorf("done: %v", d.tried)
		}
	})
}

func TestAdded_ForLaterRunsAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		run(t, queue.Options{Backend: m, HoldLane: true, Worker: d.does(m)})
		synctest.Wait()
		m.add(queue.Job{ID: 1, Lane: 1, NotBefore: time.Now().Add(7 * time.Second), Created: time.Now()})
		m.add(queue.Job{ID: 2, Lane: 1, NotBefore: time.Now(), Created: time.Now()})
		elapse(8 * time.Second)
		synctest.Wait()
		if !slices.Equal(d.tried, []int64{2, 1}) || d.at[1][0] != 7*time.Second {
			t.Errorf("done: %v, at %v", d.tried, d.at)
		}
	})
}

func TestAdded_ForLaterAmongMoreThanAreNotedRunsWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		run(t, queue.Options{Backend: m, Worker: d.does(m)})
		synctest.Wait()
		at, last := 150*time.Second, int64(3000)
		m.mu.Lock() // which the queue is read with
		for id := range last {
			j := queue.Job{ID: id + 1, NotBefore: time.Now(), Created: time.Now()}
			if j.ID == last {
				j.NotBefore = j.NotBefore.Add(at)
			}
			m.put(&j)
			m.added(j)
		}
		m.mu.Unlock()
		elapse(5 * time.Minute)
		synctest.Wait()
		if got := d.at[last]; len(d.tried) != 3000 || len(got) != 1 || got[0] < at || got[0] > at+time.Minute {
			t.Errorf("%d jobs were done, the last at %v", len(d.tried), got)
		}
	})
}

// It may be said of a job that it was added when it was read and done.
func TestAdded_AndDoneAlreadyDoesNotRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, d := &memory{}, newDiary()
		r := run(t, queue.Options{Backend: m, Worker: d.does(m)})
		synctest.Wait()
		job := queue.Job{ID: 1, NotBefore: time.Now()}
		m.mu.Lock()
		m.put(&job)
		m.mu.Unlock()
		r.Hurry()
		elapse(90 * time.Second) // the queue was read from its start since
		synctest.Wait()
		m.mu.Lock()
		m.added(job)
		m.mu.Unlock()
		elapse(90 * time.Second)
		synctest.Wait()
		if !slices.Equal(d.tried, []int64{1}) {
			t.Errorf("done: %v", d.tried)
		}
	})
}
