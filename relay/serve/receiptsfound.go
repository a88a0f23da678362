package serve

import (
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
)

// receipts are what is known of the erasure receipts in Vault.
type receipts struct {
	mu      sync.Mutex // guards the following fields
	record  receipt.Record
	read    bool   // at least once since the process started
	problem string // why they could not be read the last time; empty when they could
}

func (r *receipts) set(record receipt.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record = record
}

// tried notes why reading failed, empty if it did not, and says whether it failed in another way than before.
func (r *receipts) tried(problem string) (worse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	worse = problem != "" && problem != r.problem
	r.problem, r.read = problem, true
	return worse
}

// status is what is known of the receipts at a time of Vault's; nil before they were read for the first time.
func (r *receipts) status(now time.Time) *contract.ReceiptsStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read {
		return nil
	}
	s := &contract.ReceiptsStatus{Problem: r.problem, Unreadable: r.record.Unreadable}
	t := r.record.Trail
	if !t.First.IsZero() {
		s.FirstTime, s.LastTime = new(t.First), new(t.Last)
	}
	s.MissingHours, s.UnclaimedVersions = t.Count(receipt.Hours), t.Count(receipt.Versions)
	s.ReturnedVersions, s.ReplacedKeys = t.Count(receipt.Returned), t.Count(receipt.Replaced)
	if r.problem == "" {
		s.MissingHours += t.Missing(now)
	}
	return s
}
