package retention

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

func TestRunLeavesAReceiptOfWhatItDestroyedAndWhatIsLeft(t *testing.T) {
	v := newTransit(800, 750, 100, 0)
	v.carried = []vault.CarriedKey{{Created: epoch.Add(-800 * time.Hour)}}
	if result := run(t, v, 30); result.Receipt != contract.ReceiptWritten {
		t.Errorf("result is %+v", result)
	}
	want := receipt.Receipt{
		Version: receipt.Version, By: receipt.Janitor, Began: epoch, Time: epoch, Latest: 4, Below: 3,
		Destroyed: []receipt.Range{{From: 1, Below: 3, Oldest: &v.created[0], Newest: &v.created[1]}}, Carried: []time.Time{v.carried[0].Created},
	}
	if diff := cmp.Diff([]receipt.Receipt{want}, v.receipts); diff != "" {
		t.Error(diff)
	}
	v.carried = nil
	if run(t, v, 30); len(v.receipts) != 2 || v.receipts[1].Destroyed != nil || v.receipts[1].Below != 3 {
		t.Errorf("of a run that destroyed nothing: %+v", v.receipts[1:])
	}
}

func TestRunWithoutAKeyLeavesNoReceiptUnlessItDestroyedSomething(t *testing.T) {
	v := newTransit()
	v.none = true
	if result := run(t, v, 30); result.Receipt != "" || v.receipts != nil {
		t.Errorf("%+v, %+v", result, v.receipts)
	}
	v.carried = []vault.CarriedKey{{Created: epoch.Add(-800 * time.Hour)}}
	if result := run(t, v, 30); result.Receipt != contract.ReceiptWritten || len(v.receipts) != 1 || !v.receipts[0].Deleted {
		t.Errorf("%+v, %+v", result, v.receipts)
	}
}

// What dies does not wait for a receipt, and the next receipt makes good for what it honestly can.
func TestRunWhoseReceiptCannotBePutSucceedsAndTheNextSaysWhatIsGone(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{{vault.ErrDenied, contract.ReceiptNotSetUp}, {fmt.Errorf("x: %w", vault.ErrNotFound), contract.ReceiptNotSetUp}, {vault.ErrSealed, "VaultSealed"}} {
		v := newTransit(800, 750, 100, 0)
		v.unwritten = c.err
		if result := run(t, v, 30); result.Receipt != c.says || result.Erased != 2 || v.available != 3 {
			t.Errorf("%v: %+v", c.err, result)
		}
		v.unwritten = nil
		if run(t, v, 30); len(v.receipts) != 1 || v.receipts[0].Below != 3 || v.receipts[0].Destroyed != nil {
			t.Errorf("the next receipt is %+v", v.receipts)
		}
	}
}

// Wherever a run is interrupted, no receipt claims what its run did not do, and all that died is in the end said to be gone.
func TestReceipts_OfInterruptedRunsAreHonest(t *testing.T) {
	for failAt := 1; failAt <= 4; failAt++ {
		for _, after := range []bool{false, true} {
			v := newTransit(2000, 1500, 1000)
			v.period, v.failAt, v.failAfter = 0, failAt, after
			if _, err := Run(t.Context(), v, 30, 0); err == nil || v.receipts != nil {
				t.Fatalf("failing at %d left %+v, %v", failAt, v.receipts, err)
			}
			before := v.available
			run(t, v, 30)
			if r := v.receipts[0]; r.Below != v.available || r.Began != epoch || (len(r.Destroyed) == 0) != (before == v.available) {
				t.Errorf("failing at %d (after %v) leaves %+v; steps %v", failAt, after, r, v.log)
			}
		}
	}
}

func TestKeepLeavesAReceiptForEachKeyOfWhichItDestroyedSomething(t *testing.T) {
	m := mountOf(map[string]*transit{"gone.acme-relay": newTransit(2000, 1000, 100), "live.globex-relay": newTransit(700, 10), "old.shop-relay": newTransit(3000)})
	result, err := keep(t, m, DefaultLimits())
	if err != nil || result.Receipt != contract.ReceiptWritten {
		t.Errorf("result is %+v, %v", result, err)
	}
	gone, live := m.keys["gone.acme-relay"].receipts, m.keys["live.globex-relay"].receipts
	if len(gone) != 1 || gone[0].By != receipt.Keeper || gone[0].Below != 3 || gone[0].Destroyed[0].From != 1 || len(live) != 0 {
		t.Errorf("receipts are %+v and %+v", gone, live)
	}
	m.keys["old.shop-relay"], m.keys["gone.acme-relay"] = newTransit(3000), newTransit(3000)
	m.keys["old.shop-relay"].unwritten = vault.ErrDenied
	if result, err := keep(t, m, DefaultLimits()); err != nil || result.Receipt != contract.ReceiptNotSetUp || result.Erased != 2 {
		t.Errorf("without the right: %+v, %v", result, err)
	}
}
