package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// confirm tells customers' clients that their messages arrived, many with one acknowledgement of the carrier and one
// commit; it is the BatchWorker of the receipts. Some are sent again if it fails, which clients do not show.
func (s *Outbound) confirm(ctx context.Context, jobs []queue.Job) []queue.Result {
	ctx, cancel := context.WithTimeout(ctx, timeFor(record.KindReceipt))
	defer cancel()
	link := s.peers.LinkName()
	err := s.sendReceipts(ctx, jobs)
	if err == nil {
		err = s.finish(ctx, jobs)
	}
	if err == nil {
		return slices.Repeat([]queue.Result{queue.Done()}, len(jobs))
	}
	if pause := s.pause(err, link); pause > 0 {
		return slices.Repeat([]queue.Result{queue.Later(pause)}, len(jobs))
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "sending receipts failed", slog.Int("receipts", len(jobs)), slog.Any("error", err))
	results := make([]queue.Result, len(jobs))
	for i, j := range jobs {
		results[i] = queue.Retry(retryAfter(j.Attempts))
	}
	return results
}

// sendReceipts sends the receipts that are still wanted, and waits until the carrier has them.
func (s *Outbound) sendReceipts(ctx context.Context, jobs []queue.Job) error {
	numbers := map[int64]phone.Number{} // of customers who are told; zero for others
	var receipts []carrier.OutgoingReceipt
	for _, j := range jobs {
		var t record.Task
		if s.Now().Sub(j.Created) > s.Retention || json.Unmarshal(j.Body, &t) != nil { // a damaged row has no body
			continue
		}
		number, known := numbers[j.Lane]
		if !known {
			var err error
			if number, err = s.told(ctx, j); err != nil {
				return err
			}
			numbers[j.Lane] = number
		}
		if !number.IsZero() {
			receipts = append(receipts, carrier.OutgoingReceipt{To: number, ID: t.Stanza, Kind: t.Receipt})
		}
	}
	if len(receipts) == 0 {
		return nil
	}
	if err := s.Carrier.SendReceipts(ctx, receipts...); err != nil {
		return fmt.Errorf("sending receipts: %w", err)
	}
	return nil
}

// told returns the number of a job's customer; zero for one who is blocked or forgotten.
func (s *Outbound) told(ctx context.Context, j queue.Job) (phone.Number, error) {
	var err error
	c, known := s.Store.CustomerLately(store.CustomerID(j.Lane))
	if !known {
		c, err = s.recipient(ctx, j)
	}
	if final := (*failure)(nil); errors.Is(err, record.ErrFinished) || errors.As(err, &final) {
		return phone.Number{}, nil
	}
	if err != nil {
		return phone.Number{}, err
	}
	if blocked, err := s.blocklist.IsBlocked(ctx, c.Number); blocked || err != nil {
		return phone.Number{}, err
	}
	return c.Number, nil
}

// finish removes jobs.
func (s *Outbound) finish(ctx context.Context, jobs []queue.Job) error {
	return s.Store.UpdateLate(ctx, func(tx *store.Tx) error {
		for _, j := range jobs {
			if err := tx.Finish(j.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
