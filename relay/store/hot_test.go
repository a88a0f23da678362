package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// seenBy is what a transaction reads of everybody.
type seenBy struct {
	Customers []store.Customer
	Devices   [][]store.Device
	Records   [][]byte
	Messages  []store.Message
	Queued    [][]string
}

const hotCustomers, hotMessages = 4, 6

func lookAt(tx *store.Tx, numbers []phone.Number) (seen seenBy, err error) {
	for _, n := range numbers {
		c, err := tx.Customer(n)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		again, err2 := tx.CustomerByID(c.ID)
		byUser, err3 := tx.CustomerByUser(c.UserID)
		devices, err4 := tx.Devices(c.ID)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			return seen, err
		}
		for _, most := range []int{2, 50} {
			queued, err := tx.QueuedFor("out", c.ID, most)
			if err != nil {
				return seen, err
			}
			if most > 2 { // else which of them does not matter
				seen.Queued = append(seen.Queued, slices.Sorted(slices.Values(queued)))
			}
		}
		seen.Customers = append(seen.Customers, c, again, byUser)
		seen.Devices = append(seen.Devices, devices)
		for d := range carrier.DeviceID(2) {
			record, err := tx.Record(c.ID, d+1)
			if err != nil {
				return seen, err
			}
			seen.Records = append(seen.Records, record)
		}
	}
	for i := range hotMessages {
		m, err := tx.Message(fmt.Sprint("m", i))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return seen, err
		}
		seen.Messages = append(seen.Messages, m)
		if m.CarrierID == "" {
			continue
		}
		if _, err := tx.MessageByCarrierID(m.Direction, m.CarrierID); err != nil {
			return seen, fmt.Errorf("finding a message by the carrier's id: %w", err)
		}
	}
	return seen, nil
}

// changeSomething makes a random change.
func changeSomething(tx *store.Tx, n phone.Number, r *rand.Rand, step int) error {
	c, err := tx.Customer(n)
	if errors.Is(err, store.ErrNotFound) {
		c, err = store.Customer{Number: n}, nil
	}
	if err != nil {
		return err
	}
	if c.ID == 0 || r.IntN(2) == 0 {
		c.Name = fmt.Sprint("name ", step)
		if c.ID != 0 && r.IntN(4) == 0 {
			c.UserID = fmt.Sprintf("US.%026d", r.Int64())
		}
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
	}
	d := carrier.DeviceID(r.IntN(2) + 1)
	id := fmt.Sprint("m", r.IntN(hotMessages))
	switch r.IntN(12) {
	case 7, 8, 9:
		_, err := tx.Enqueue(store.Job{Queue: "out", Customer: c.ID, Message: fmt.Sprint("job ", step), NotBefore: time.Unix(int64(r.IntN(9)+1), 0)})
		return err
	case 10, 11:
		return changeJob(tx, c.ID, r)
	case 0:
		return tx.PutDevice(c.ID, store.Device{ID: d, Active: step%2 == 0})
	case 1:
		return tx.PutRecord(c.ID, d, fmt.Append(nil, "record ", step))
	case 2:
		return tx.DeleteDevice(c.ID, d)
	case 3:
		return tx.EraseCustomer(c.ID)
	case 4:
		err := tx.SetMessageState(id, fmt.Sprint("state", step), time.Unix(int64(step), 0))
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return err
	default:
		m := store.Message{ID: id, Customer: c.ID, Direction: store.Outbound, State: "new", Type: "text", Body: fmt.Append(nil, step), Created: time.Unix(1, 0)}
		if r.IntN(3) > 0 {
			m.CarrierID = fmt.Sprint("carrier's ", r.IntN(2))
		}
		if known, err := tx.Message(id); err == nil {
			m.Customer = known.Customer
		}
		return tx.PutMessage(m)
	}
}

// changeJob ends, moves or puts off one of a customer's jobs, if there is one.
func changeJob(tx *store.Tx, c store.CustomerID, r *rand.Rand) error {
	queues := []string{"out", "dead"}
	from := r.IntN(2)
	jobs, _, err := tx.DueOf(store.Wanted{Queue: queues[from], Customer: c, Now: time.Unix(99, 0), Limit: 10})
	if err != nil || len(jobs) == 0 {
		return err
	}
	j := jobs[r.IntN(len(jobs))]
	switch r.IntN(3) {
	case 0:
		j.Queue = queues[1-from]
		return tx.Requeue(queues[from], j)
	case 1:
		return tx.Postpone(queues[from], j.ID, time.Unix(50, 0), 1)
	}
	return tx.Finish(j.ID)
}

// What the writer and the readers beside it remember is what is in the database, whatever was changed, moved into another epoch,
// undone or erased.
func TestUpdate_ReadsWhatAViewReads(t *testing.T) {
	undo := errors.New("undo")
	var numbers []phone.Number
	for i := range hotCustomers {
		numbers = append(numbers, number(t, fmt.Sprintf("+1555000000%d", i)))
	}
	messages, customers := 0, 0 // that were remembered
	seeds := uint64(10)
	if onServer != nil {
		seeds = 3 // what is remembered does not depend on the engine
	}
	for seed := range seeds {
		w := newWorld(t)
		r := rand.New(rand.NewPCG(seed, 0))
		for step := range 100 {
			if r.IntN(20) == 0 {
				w.pass(24 * time.Hour)
			}
			var waits []func() error
			for n := range r.IntN(4) + 1 { // which may share a commit
				r := rand.New(rand.NewPCG(seed, uint64(step*10+n)))
				waits = append(waits, w.Begin(t.Context(), func(tx *store.Tx) error {
					for range r.IntN(3) + 1 {
						if err := changeSomething(tx, numbers[r.IntN(hotCustomers)], r, step); err != nil {
							return err
						}
					}
					switch r.IntN(6) {
					case 0:
						return undo
					case 1:
						panic(undo)
					}
					return nil
				}))
			}
			for _, wait := range waits {
				if err := undoing(wait); err != nil && !errors.Is(err, undo) {
					t.Fatal(err)
				}
			}
			var viewed, updated seenBy
			w.update(func(tx *store.Tx) (err error) {
				updated, err = lookAt(tx, numbers)
				return err
			})
			w.view(func(tx *store.Tx) (err error) {
				viewed, err = lookAt(tx, numbers)
				return err
			})
			if diff := cmp.Diff(viewed, updated, cmp.AllowUnexported(phone.Number{})); diff != "" {
				t.Fatalf("seed %d, step %d: an update reads something else than a view: %s", seed, step, diff)
			}
			for i, m := range viewed.Messages {
				late, ok := w.Lately(fmt.Sprint("m", i))
				if diff := cmp.Diff(m, late); ok && diff != "" {
					t.Fatalf("seed %d, step %d: a message was committed as something else: %s", seed, step, diff)
				}
				if ok {
					messages++
				}
				if state, known := w.StateLately(fmt.Sprint("m", i)); known != ok || state != late.State {
					t.Fatalf("seed %d, step %d: a message's state was committed as %q, %v", seed, step, state, known)
				}
			}
			for _, c := range viewed.Customers {
				late, ok := w.CustomerLately(c.ID)
				if diff := cmp.Diff(c, late, cmp.AllowUnexported(phone.Number{})); ok && diff != "" {
					t.Fatalf("seed %d, step %d: a customer was committed as something else: %s", seed, step, diff)
				}
				if ok {
					customers++
				}
			}
		}
		w.close()
	}
	if messages == 0 || customers == 0 {
		t.Errorf("%d messages and %d customers were remembered", messages, customers)
	}
}

// A burst of long messages does not make the store forget those that it wrote last.
func TestLately_HasTheLastMessages(t *testing.T) {
	const messages, last, length = 100, 16, 64 << 10
	w := newWorld(t)
	c := store.Customer{Number: number(t, "+15550000001")}
	w.update(func(tx *store.Tx) error { return tx.PutCustomer(&c) })
	for i := range messages {
		w.update(func(tx *store.Tx) error {
			return tx.PutMessage(store.Message{
				ID: fmt.Sprint("m", i), Customer: c.ID, Direction: store.Inbound, State: "new", Type: "text", Body: make([]byte, length), Created: time.Unix(1, 0),
			})
		})
		for back := range min(i+1, last) {
			if _, ok := w.Lately(fmt.Sprint("m", i-back)); !ok {
				t.Fatalf("of %d messages the one before the last %d is forgotten", i+1, back)
			}
		}
	}
}

// undoing returns the error that fn panics with.
func undoing(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err, _ = v.(error)
		}
	}()
	return fn()
}
