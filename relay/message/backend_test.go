package message_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestAJobThatIsBeingWrittenIsNotPassedOverForOneThatWasPostponed(t *testing.T) {
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
			jobs, err := message.Queue(w.store, name).Due(t.Context(), time.Now(), queue.Place{}, 10)
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
