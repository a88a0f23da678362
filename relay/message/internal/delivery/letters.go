package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// A webhook that was not accepted in time becomes a dead letter: its job moves into another queue, which
// nobody works off, in the epoch in which it was queued. So it ends with what it tells.

// ErrUnknownLetter means that there is no such dead letter.
var ErrUnknownLetter = errors.New("there is no such dead letter")

// letterBatch is how many webhooks one transaction moves.
const letterBatch = 256

// anyTime is longer than anything is put off.
const anyTime = 365 * 24 * time.Hour

// DeadLetter is a webhook that was given up. It says nothing about whom it concerns.
type DeadLetter struct {
	ID      int64
	Message string // id of the message that it is about; may be empty
	Status  string // that it tells of the business's message; empty for any other webhook
	Created time.Time
	Died    time.Time
	// Attempts is how many failed since it was queued or replayed, and Failure why it was given up, in the
	// relay's own words.
	Attempts int
	Failure  string
}

// Bury makes a webhook a dead letter. One that is gone is no error.
func (s *Webhooks) Bury(ctx context.Context, id int64, attempts int, failure string) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.bury(tx, id, attempts, failure) })
	if err != nil {
		return fmt.Errorf("making a webhook a dead letter: %w", err)
	}
	return nil
}

func (s *Webhooks) bury(tx *store.Tx, id int64, attempts int, failure string) error {
	j, err := tx.JobOf(base.QueueWebhook, id)
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, body, err := record.LetterOf(j.Body)
	if err != nil || len(body) == 0 {
		return s.replaceWebhook(tx, j.ID, j.Message) // nothing could be delivered later
	}
	letter := record.Letter{Died: s.Now(), Attempts: attempts, Failure: failure}
	if j.Body, err = letter.Encode(body); err != nil {
		return err
	}
	j.Queue, j.NotBefore, j.Attempts = base.QueueDead, letter.Died, 0
	if err = tx.Requeue(base.QueueWebhook, j); record.IsNotFound(err) {
		err = nil
	}
	return err
}

// BuryOverdue makes dead letters of the webhooks that were due before a time and are still there, and says how
// many there were. It is for a receiver that is not verified: to others each attempt decides that by itself.
func (s *Webhooks) BuryOverdue(ctx context.Context, before time.Time, failure string) (buried int, err error) {
	for {
		n := 0
		err := s.Store.Update(ctx, func(tx *store.Tx) error {
			jobs, _, err := tx.DueOf(store.Wanted{Queue: base.QueueWebhook, Now: before, Limit: letterBatch})
			n = len(jobs)
			for _, j := range jobs {
				if err := s.bury(tx, j.ID, j.Attempts, failure); err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return buried, fmt.Errorf("making webhooks dead letters: %w", err)
		}
		if buried += n; n < letterBatch {
			return buried, nil
		}
	}
}

// DeadLetters returns at most limit dead letters, those that died first behind a place on, and the place that
// was read to; the zero place is before all.
func (s *Webhooks) DeadLetters(ctx context.Context, after store.Place, limit int) (letters []DeadLetter, to store.Place, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		jobs, place, err := tx.DueOf(store.Wanted{Queue: base.QueueDead, Now: s.Now().Add(anyTime), After: after, Limit: limit})
		letters, to = nil, place
		for _, j := range jobs {
			letters = append(letters, letterOf(j))
		}
		return err
	})
	if err != nil {
		return nil, after, fmt.Errorf("listing dead letters: %w", err)
	}
	return letters, to, nil
}

func letterOf(j store.Job) DeadLetter {
	l, body, _ := record.LetterOf(j.Body) // of a damaged one its row is known
	return DeadLetter{
		ID: j.ID, Message: j.Message, Status: webhook.StatusIn(body), Created: j.Created, Died: j.NotBefore,
		Attempts: l.Attempts, Failure: l.Failure,
	}
}

// Replay queues dead letters once more, as if they had just happened, or returns ErrUnknownLetter and queues
// none.
func (s *Webhooks) Replay(ctx context.Context, ids []int64) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			j, err := tx.JobOf(base.QueueDead, id)
			if err == nil {
				err = s.replay(tx, j)
			}
			if record.IsNotFound(err) {
				return ErrUnknownLetter
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return s.replayed(err)
}

// ReplayAll queues all dead letters once more and says how many there were.
func (s *Webhooks) ReplayAll(ctx context.Context) (n int, err error) {
	until := s.Now() // those that die meanwhile stay
	for {
		found := 0
		err := s.Store.Update(ctx, func(tx *store.Tx) error {
			jobs, _, err := tx.DueOf(store.Wanted{Queue: base.QueueDead, Now: until, Limit: letterBatch})
			found = len(jobs)
			for _, j := range jobs {
				if err := s.replay(tx, j); err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return n, s.replayed(err)
		}
		if n += found; found < letterBatch {
			return n, nil
		}
	}
}

func (s *Webhooks) replayed(err error) error {
	if err != nil && !errors.Is(err, ErrUnknownLetter) {
		err = fmt.Errorf("replaying dead letters: %w", err)
	}
	return err
}

// replay queues a dead letter once more. One that is damaged becomes what a damaged webhook becomes.
func (s *Webhooks) replay(tx *store.Tx, j store.Job) error {
	_, body, err := record.LetterOf(j.Body)
	if err != nil || len(body) == 0 {
		return s.replaceWebhook(tx, j.ID, j.Message)
	}
	l := record.Letter{Replayed: s.Now()}
	if j.Body, err = l.Encode(body); err != nil {
		return err
	}
	j.Queue, j.NotBefore, j.Attempts = base.QueueWebhook, l.Replayed, 0
	return tx.Requeue(base.QueueDead, j)
}
