package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A processor's copies wait in a queue of its own, so that a processor that is away delays nobody. A copy that was not
// taken in time is dropped, and counted: the webhook that it is a copy of is the business's.

// FinishCopies removes copies, all or none.
func (s *Webhooks) FinishCopies(ctx context.Context, ids ...int64) error {
	err := s.Store.UpdateLate(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.Finish(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ending copies: %w", err)
	}
	return nil
}

// DropCopies removes a processor's copies that were queued before a time, and says how many there were.
func (s *Webhooks) DropCopies(ctx context.Context, processor string, before time.Time) (int, error) {
	dropped, err := s.drop(ctx, base.QueueOfProcessor(processor), before)
	if err != nil {
		return dropped, fmt.Errorf("dropping a processor's copies: %w", err)
	}
	return dropped, nil
}

// DropFormer removes the copies of processors that the business names no longer.
func (s *Webhooks) DropFormer(ctx context.Context) error {
	var queues []string
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		queues, err = tx.Queues(base.QueueOfProcessor(""))
		return err
	})
	for _, q := range queues {
		if err != nil {
			break
		}
		if !slices.ContainsFunc(s.Processors, func(name string) bool { return base.QueueOfProcessor(name) == q }) {
			_, err = s.drop(ctx, q, s.Now().Add(anyTime))
		}
	}
	if err != nil {
		return fmt.Errorf("dropping the copies of former processors: %w", err)
	}
	return nil
}

// drop removes the jobs of a queue that were created before a time. Jobs stay in the order of their creation but for those
// that failed and wait, which are as old.
func (s *Webhooks) drop(ctx context.Context, name string, before time.Time) (dropped int, err error) {
	place, more := store.Place{}, true
	for more {
		n := 0
		err := s.Store.Shrink(ctx, func(tx *store.Tx) error {
			jobs, to, err := tx.DueOf(store.Wanted{
				Queue: name, Now: s.Now().Add(anyTime), After: place, Limit: letterBatch,
			})
			n, more = 0, len(jobs) == letterBatch
			for _, j := range jobs {
				if !j.Created.Before(before) {
					continue
				}
				n++
				if err := tx.Finish(j.ID); err != nil {
					return err
				}
			}
			if err == nil {
				place = to
			}
			return err
		})
		if err != nil {
			return dropped, err
		}
		dropped += n
	}
	return dropped, nil
}
