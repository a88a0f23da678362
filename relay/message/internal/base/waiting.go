package base

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Waiting is a job of the outbox that waits for a customer's answer to a contact request, or
// that was released and has not run since.
type Waiting struct {
	store.Job
	Task record.Task
}

// WaitingOf returns a customer's jobs that wait, in the order in which their messages were
// accepted.
func (s *Base) WaitingOf(tx *store.Tx, c store.CustomerID) ([]Waiting, error) {
	jobs, _, err := tx.DueOf(store.Wanted{
		Queue: QueueOutbox, Customer: c, Now: s.Now().Add(anyTime), Limit: maxWaiting,
		Skip: func(j store.Job) bool { return j.Message == "" },
	})
	if err != nil {
		return nil, err
	}
	var waiting []Waiting
	for _, j := range jobs {
		w := Waiting{Job: j}
		if json.Unmarshal(j.Body, &w.Task) == nil && w.Task.Place > 0 {
			waiting = append(waiting, w)
		}
	}
	slices.SortFunc(waiting, func(a, b Waiting) int { return a.Task.Place - b.Task.Place })
	return waiting, nil
}

// anyTime is when jobs are due that are asked for whatever their time. maxWaiting is more jobs
// than a customer's share of the volume holds.
const (
	anyTime    = 100 * 365 * 24 * time.Hour
	maxWaiting = 1 << 20
)

// Release makes a customer's waiting jobs due now, in their order, and returns how many there
// are. They are queued again instead of being postponed: the outbox reads its jobs in order and
// may be past their place.
func (s *Base) Release(tx *store.Tx, c store.CustomerID) (int, error) {
	waiting, err := s.WaitingOf(tx, c)
	if err != nil {
		return 0, err
	}
	for _, w := range waiting {
		if err := s.ReleaseJob(tx, w); err != nil {
			return 0, err
		}
	}
	return len(waiting), nil
}

// ReleaseJob makes a waiting job due now, unless it is.
func (s *Base) ReleaseJob(tx *store.Tx, w Waiting) error {
	if !w.NotBefore.After(s.Now()) {
		return nil
	}
	if err := tx.Finish(w.ID); err != nil {
		return err
	}
	return s.Enqueue(tx, w.Customer, w.Message, w.Task)
}
