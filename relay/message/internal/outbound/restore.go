package outbound

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// FailQueued ends everything in the outbox, and the receipts, and returns how many messages failed.
func (s *Outbound) FailQueued(tx *store.Tx) (failed int, err error) {
	var jobs []store.Job
	for _, name := range []string{base.QueueOutbox, base.QueueReceipts} {
		found, err := tx.Due(name, s.Now().Add(100*365*24*time.Hour), store.Place{}, everything)
		if err != nil {
			return 0, err
		}
		jobs = append(jobs, found...)
	}
	for _, j := range jobs {
		if j.Message != "" {
			failed++
			if err := s.advanceMessage(tx, j.Message, record.StateFailed, webhook.Undeliverable(restoredDetails)); err != nil {
				return 0, err
			}
		}
		if err := tx.Finish(j.ID); err != nil {
			return 0, err
		}
	}
	return failed, nil
}

// everything is more jobs than a queue holds.
const everything = 1 << 30
