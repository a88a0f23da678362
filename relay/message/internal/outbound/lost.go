package outbound

import (
	"context"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Without storage, what is not sent within an hour, or before the process ends, is lost. The outbox
// finds that out when it is a job's turn; while it cannot work, or a job waits for the customer's
// answer to a contact request, FailLost does.

// contentGone tells the business that its message was lost.
func contentGone() webhook.Error {
	return webhook.ContentGone("The relay keeps content in memory only, for at most an hour, and lost this message's before it was certain that the customer has it: send it again if they have not got it.")
}

// failLost fails a message whose content is gone, and returns record.ErrFinished.
func (s *Outbound) failLost(ctx context.Context, id string) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.advanceMessage(tx, id, record.StateFailed, contentGone()) })
	if err != nil {
		return err
	}
	return record.ErrFinished
}

// lostBatch is how many jobs FailLost reads at once, and anyTime longer than one is put off.
const (
	lostBatch = 256
	anyTime   = 100 * 365 * 24 * time.Hour
)

// FailLost fails the messages that wait and whose content is gone.
func (s *Outbound) FailLost(ctx context.Context) error {
	place, more := store.Place{}, true
	for more {
		err := s.Store.Update(ctx, func(tx *store.Tx) error {
			jobs, to, err := tx.DueOf(store.Wanted{
				Queue: base.QueueOutbox, Now: s.Now().Add(anyTime), After: place, Limit: lostBatch,
				Skip: func(j store.Job) bool {
					return j.Message == "" || s.peers.Reachable() && !j.NotBefore.After(s.Now()) // it has its turn
				},
			})
			place, more = to, len(jobs) == lostBatch
			for _, j := range jobs {
				if err == nil {
					err = s.failIfLost(tx, j)
				}
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("failing messages that are lost: %w", err)
		}
	}
	return nil
}

func (s *Outbound) failIfLost(tx *store.Tx, j store.Job) error {
	m, err := tx.Message(j.Message)
	if record.IsNotFound(err) || err == nil && !m.Lost {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.advanceMessage(tx, m.ID, record.StateFailed, contentGone()); err != nil {
		return err
	}
	return tx.Finish(j.ID)
}
