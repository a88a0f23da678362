package message_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestJob_BeingWrittenIsNotSkippedForAPostponedOne(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		w.start()
		defer w.stop()
		const name = "of this test"
		enqueue := func(tx *store.Tx, at time.Time) (int64, error) {
			return tx.Enqueue(store.Job{Queue: name, NotBefore: at, Created: time.Now()})
		}
		var postponed, written int64
		check(t, w.store.Update(t.Context(), func(tx *store.Tx) (err error) {
			postponed, err = enqueue(tx, time.Now().Add(2*time.Second))
			return err
		}))
		elapse(time.Second)
		disk, wrote := make(chan struct{}), make(chan error, 1)
		go func() {
			wrote <- w.store.Update(t.Context(), func(tx *store.Tx) (err error) {
				written, err = enqueue(tx, time.Now())
				<-disk
				return err
			})
		}()
		elapse(2 * time.Second)

		var due []int64
		read := make(chan error, 1)
		go func() {
			jobs, _, err := message.Queue(w.store, name).Due(t.Context(), queue.Query{Now: time.Now(), Limit: 10})
			for _, j := range jobs {
				due = append(due, j.ID)
			}
			read <- err
		}()
		synctest.Wait()
		close(disk)
		check(t, <-wrote)
		check(t, <-read)
		if want := []int64{written, postponed}; !slices.Equal(due, want) {
			t.Errorf("due are %v, want %v: who reads on behind the postponed one misses what stands before it", due, want)
		}
	})
}

// silent is a link on which one customer's devices are never told.
type silent struct {
	message.Carrier
	about phone.Number
	asked atomic.Int64
}

func (l *silent) Devices(ctx context.Context, peer phone.Number, f carrier.Format) ([]carrier.DeviceID, error) {
	if peer == l.about {
		l.asked.Add(1)
		return nil, errors.New("no answer")
	}
	return l.Carrier.Devices(ctx, peer, f)
}

func TestLane_UnreachableWithAThousandMessagesStopsNoOther(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a, b := w.customer(dir+"/a", alice), w.customer(dir+"/b", "+491702222222")
		w.settle()
		w.stop()
		l := &silent{about: a.number}
		w.wire = func(link message.Carrier) message.Carrier { l.Carrier = link; return l }
		w.start()
		var accepted sync.WaitGroup
		for range 1200 { // at once, as they then share commits
			accepted.Go(func() {
				_, err := w.AcceptText(t.Context(), message.Text{To: a.number, Body: "text"})
				check(t, err)
			})
		}
		accepted.Wait()
		w.settle()
		id := w.says(b.number, "unmoved")
		if got := statuses(w.take(), id); len(got) != 3 {
			t.Errorf("statuses of another customer's message are %q", got)
		}
		w.stop()
		w.start()
		id = w.says(b.number, "nor by a restart")
		if got := statuses(w.take(), id); len(got) != 3 {
			t.Errorf("statuses of another customer's message are %q after a restart", got)
		}
		elapse(5 * time.Minute)
		if l.asked.Load() < 5 {
			t.Error("the customer was not tried again")
		}
	})
}

func TestLane_LongAndHeldKeepsTheStoresOrder(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		w.start()
		defer w.stop()
		const name, n, others = "of this test", 1200, 100
		held := store.Customer{Number: number(t, alice)}
		var lane []int64
		check(t, w.store.Update(t.Context(), func(tx *store.Tx) error {
			if err := tx.PutCustomer(&held); err != nil {
				return err
			}
			for i := range n {
				at := time.Now().Add(time.Duration(i%7) * time.Millisecond) // ids and times differ in order
				id, err := tx.Enqueue(store.Job{Queue: name, Customer: held.ID, NotBefore: at, Created: at})
				if err != nil {
					return err
				}
				lane = append(lane, id)
			}
			for i := range others {
				c := store.Customer{Number: number(t, fmt.Sprintf("+4917020%05d", i))}
				if err := tx.PutCustomer(&c); err != nil {
					return err
				}
				if _, err := tx.Enqueue(store.Job{Queue: name, Customer: c.ID, NotBefore: time.Now().Add(time.Second)}); err != nil {
					return err
				}
			}
			return nil
		}))
		slices.SortStableFunc(lane, func(a, b int64) int { return int((a-lane[0])%7 - (b-lane[0])%7) })
		elapse(2 * time.Second)

		backend := message.Queue(w.store, name)
		var mu sync.Mutex
		var mute bool
		var done []int64
		rest := 0
		retry := func(j queue.Job) bool {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case j.Lane != int64(held.ID):
				rest++
			case mute || j.ID%100 == 0 && j.Attempts == 0:
				return true
			default:
				done = append(done, j.ID)
			}
			return false
		}
		work := func(ctx context.Context, j queue.Job) queue.Result {
			if retry(j) {
				return queue.Retry(time.Second)
			}
			check(t, w.store.UpdateLate(ctx, func(tx *store.Tx) error { return tx.Finish(j.ID) }))
			return queue.Done()
		}
		for _, mute = range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			r, ended := queue.New(queue.Options{Backend: backend, Workers: 8, HoldLane: true, Worker: work}), make(chan struct{})
			go func() { defer close(ended); _ = r.Run(ctx) }()
			elapse(time.Minute)
			synctest.Wait()
			cancel()
			<-ended
			if rest != others {
				t.Errorf("%d jobs of %d other customers are done", rest, others)
			}
		}
		if !slices.Equal(done, lane) {
			t.Errorf("%d jobs of %d were done, in the order %v", len(done), n, done)
		}
	})
}
