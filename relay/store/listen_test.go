package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

func TestListen_TellsInOrderOfWhatIsDurable(t *testing.T) {
	w := newWorld(t)
	var told []string // in the writer's goroutine, of which each update waits
	listener := store.Listener{
		Added: func(j store.Job) {
			told = append(told, fmt.Sprintf("%s %q %v", j.Queue, j.Body, j.NotBefore.Sub(j.Created)))
		},
		Changed: func() { told = append(told, "changed") },
	}
	end := w.Listen("out", listener)
	at := w.now.Add(123 * time.Microsecond) // what is stored has milliseconds
	add := func(queue, body string, later time.Duration, fails error) (id int64, err error) {
		err = w.Update(t.Context(), func(tx *store.Tx) (err error) {
			id, err = tx.Enqueue(store.Job{Queue: queue, NotBefore: at.Add(later), Created: at, Body: []byte(body)})
			return errors.Join(err, fails)
		})
		return id, err
	}
	failed := errors.New("no")
	first, err := add("out", "first", 0, nil)
	check(t, err)
	_, err = add("out", "undone", 0, failed)
	wantIs(t, err, failed)
	other, err := add("dead", "in another queue", 0, nil)
	check(t, err)
	_, err = add("out", "later", time.Hour, nil)
	check(t, err)
	equal(t, "told", told, []string{`out "first" 0s`, `out "later" 1h0m0s`})

	told = nil
	w.update(func(tx *store.Tx) error { return tx.Postpone("out", first, at.Add(time.Minute), 1) })
	w.update(func(tx *store.Tx) error {
		return tx.Requeue("dead", store.Job{ID: other, Queue: "out", NotBefore: at, Body: []byte("back")})
	})
	w.update(func(tx *store.Tx) error { return tx.Finish(first) })
	equal(t, "told", told, []string{"changed"})

	end()
	_, err = add("out", "after the end", 0, nil)
	check(t, err)
	equal(t, "told after the end", len(told), 1)
	w.close()
}

// Who begins to listen and reads the queue then misses nothing, also what is being added meanwhile.
func TestListen_HearsOfWhatIsNotDurableYet(t *testing.T) {
	w := newWorld(t)
	heard := 0
	w.update(func(tx *store.Tx) error {
		_, err := tx.Enqueue(store.Job{Queue: "out", NotBefore: w.now})
		w.Listen("out", store.Listener{Added: func(store.Job) { heard++ }})
		return err
	})
	equal(t, "heard of", heard, 1)
	w.close()
}
