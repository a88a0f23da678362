package dataplane_test

import (
	"context"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/await"
)

// janitor is the business's janitor, with a login of its own.
func (b *business) janitor() *vault.Client {
	b.t.Helper()
	cfg := vault.ForTenant(b.Config, contract.RoleJanitor(b.Config.Region), "")
	cfg.Token = func(ctx context.Context) (string, error) {
		return b.IssueToken(ctx, contract.AudienceJanitor(b.Config.Region))
	}
	c, err := vault.New(cfg)
	check(b.t, err)
	return c
}

// The relay finds what janitors did not say: an hour without a run, and versions that died and that no run owns to.
func TestReceipts_RelayFindsWhatTheyLack(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	often := func(o *serve.Options) { o.SweepEvery = 100 * time.Millisecond }
	b.StartReady(often)
	before := b.WaitReport("the relay looked for receipts", func(s contract.Status) bool { return s.Receipts != nil })
	if *before.Receipts != (contract.ReceiptsStatus{}) {
		t.Errorf("before there was one: %+v", before.Receipts)
	}
	janitor := b.janitor()
	ran := func(ago time.Duration) {
		t.Helper()
		result, err := retention.Run(t.Context(), janitor, b.Config.RetentionDays, -ago)
		if check(t, err); result.Receipt != contract.ReceiptWritten {
			t.Fatalf("the run of %s ago: %+v", ago, result)
		}
	}
	ran(5 * time.Hour)
	ran(4 * time.Hour)
	for range 3 {
		check(t, janitor.Rotate(t.Context()))
	}
	// A run that ends before its receipt, in an hour of which there is none.
	check(t, janitor.SetMinimum(t.Context(), 3, 4))
	check(t, janitor.Trim(t.Context(), 3))
	ran(2 * time.Hour)
	ran(time.Hour)
	found := func(s contract.Status) bool {
		return s.Receipts != nil && s.Receipts.MissingHours == 1 && s.Receipts.UnclaimedVersions == 2
	}
	s := b.WaitReport("the gaps are found", found)
	if r := s.Receipts; r.ReturnedVersions != 0 || r.ReplacedKeys != 0 || r.Unreadable != 0 || r.Problem != "" || !r.FirstTime.Before(*r.LastTime) {
		t.Errorf("%+v", r)
	}
	await.Until(t, "the gaps are in the metrics", func() bool {
		hours, _ := b.gauge("relaykeep_erasure_receipt_gaps", "hours")
		versions, _ := b.gauge("relaykeep_erasure_receipt_gaps", "versions")
		return hours == 1 && versions == 2
	})
	b.Stop()
	b.StartReady(often)
	again := b.WaitReport("they are known after a restart", found)
	if !again.Receipts.FirstTime.Equal(*s.Receipts.FirstTime) {
		t.Errorf("after a restart: %+v", again.Receipts)
	}
	b.NothingLeaked()
}
