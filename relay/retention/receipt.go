package retention

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// noteDestroyed notes for the receipt that this pass destroyed versions.
func (j *pass) noteDestroyed(from, below int) {
	if from >= below {
		return
	}
	d := receipt.Range{From: from, Below: below}
	for _, v := range j.state.Versions {
		if v.Version >= from && v.Version < below {
			if d.Oldest == nil {
				d.Oldest = new(v.Created)
			}
			d.Newest = new(v.Created)
		}
	}
	j.said.AddDestroyed(d)
}

// receipt is what the pass leaves, after it succeeded or found that there is no key.
func (j *pass) receipt(gone bool) receipt.Receipt {
	r := j.said
	if gone {
		r.Deleted = true
		return r
	}
	r.Latest, r.Below = j.state.Latest().Version, max(j.state.MinAvailable, 1)
	return r
}

// putReceipt puts a receipt and returns contract.ReceiptWritten, or why there is none. What was destroyed stays so: a run does not
// fail for its receipt, and the next one's says what is gone since the last.
func putReceipt(ctx context.Context, r receipt.Receipt, put func(context.Context, receipt.Receipt) error) string {
	switch err := put(ctx, r); {
	case err == nil:
		return contract.ReceiptWritten
	case errors.Is(err, vault.ErrDenied) || errors.Is(err, vault.ErrNotFound):
		return contract.ReceiptNotSetUp
	default:
		return reason(err)
	}
}
