package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

const (
	// settingReceipts is the store's record of the erasure receipts that were read.
	settingReceipts = "erasure-receipts"
	// receiptsAtOnce is how many receipts share a commit.
	receiptsAtOnce = 50
	// receiptsSettle is after what time no earlier receipt is put any more.
	receiptsSettle = 2 * time.Minute
)

// watchReceipts reads the receipts that janitor and keeper leave in Vault, as often as the store is swept, until ctx ends. What
// cannot be read now is read later.
func (p *parts) watchReceipts(ctx context.Context) error {
	ticker := time.NewTicker(p.SweepEvery)
	defer ticker.Stop()
	for {
		if err := p.readReceipts(ctx); ctx.Err() == nil && p.receipts.tried(receiptsProblem(err)) {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "reading the erasure receipts failed, trying again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// readReceipts reads what is unread, some at a time.
func (p *parts) readReceipts(ctx context.Context) error {
	record, err := p.receiptRecord(ctx)
	if err != nil {
		return err
	}
	p.receipts.set(record)
	now, known := p.clock.Vault()
	if !known {
		return nil
	}
	var names []receipt.Name
	for _, by := range receipt.Writers() {
		found, err := p.vault.ReceiptNames(ctx, by, record.Since(by))
		if err != nil {
			return err
		}
		names = append(names, found...)
	}
	for {
		unread := record.Unread(names, now.Add(-receiptsSettle), receiptsAtOnce)
		if len(unread) == 0 {
			return nil
		}
		if record, err = p.takeReceipts(ctx, record, unread, now); err != nil {
			return err
		}
		p.receipts.set(record)
	}
}

// takeReceipts reads receipts and notes what they say. What is no receipt, or was removed since it was listed, is passed over.
func (p *parts) takeReceipts(ctx context.Context, record receipt.Record, unread []receipt.Name, now time.Time) (receipt.Record, error) {
	var found []receipt.Receipt
	for _, name := range unread {
		r, err := p.vault.Receipt(ctx, name)
		switch {
		case err == nil:
			found = append(found, r)
		case errors.Is(err, vault.ErrForeignContent):
			record.Unreadable++
		case !errors.Is(err, vault.ErrNotFound):
			return record, err
		}
		record.Mark(name)
	}
	slices.SortStableFunc(found, receipt.Order)
	record.Trail.Gaps = slices.Clone(record.Trail.Gaps) // what was shown so far stays as it is
	for _, r := range found {
		record.Trail.Add(r)
	}
	record.Trail.Forget(now.AddDate(0, -receipt.Months, 0))
	text, err := json.Marshal(record)
	if err != nil {
		return record, fmt.Errorf("encoding the record of erasure receipts: %w", err)
	}
	err = p.keys.store.Update(ctx, func(tx *store.Tx) error {
		if err := enterReceipts(tx, found, p.Now()); err != nil {
			return err
		}
		return tx.PutSetting(settingReceipts, text)
	})
	if err != nil {
		return record, fmt.Errorf("recording erasure receipts: %w", err)
	}
	return record, nil
}

// receiptRecord reads the store's record.
func (p *parts) receiptRecord(ctx context.Context) (record receipt.Record, err error) {
	var text []byte
	err = p.keys.store.View(ctx, func(tx *store.Tx) (err error) {
		text, err = tx.Setting(settingReceipts)
		return err
	})
	if err == nil && text != nil && json.Unmarshal(text, &record) != nil {
		err = errors.New("reading the record of erasure receipts: it is not what this relay writes")
	}
	return record.For(p.cfg.Region), err
}

// receiptsProblem is the status's word for why receipts could not be read; empty without an error.
func receiptsProblem(err error) (problem string) {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, vault.ErrDenied):
		return contract.ReceiptNotSetUp
	}
	problem, _ = explain(err)
	return problem
}
