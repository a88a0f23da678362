package serve

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// The log says how often data was sent to whom: that a delivery is put off or given up sends nothing.
func TestLog_CountsRequestsToReceiversAndNothingElse(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(t.Context(), t.TempDir(), [16]byte{1}, seal.New(sealtest.New(), 24*time.Hour, time.Now))
	must(err)
	t.Cleanup(func() { _ = s.Close() })
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := &parts{
		relay:  &relay{metrics: newMetrics("test")},
		ledger: ledger.New(ledger.Options{Store: s, Origin: proof.Origin("1"), Now: func() time.Time { return now }}),
	}
	for _, o := range webhook.Outcomes() {
		p.noteDelivery(o, time.Second)
		p.noteCopy(o, time.Second)
	}
	must(p.ledger.Flush(t.Context()))
	now = now.Add(time.Minute)
	must(p.ledger.Flush(t.Context()))
	bundle, err := p.ledger.Tile(t.Context(), "tile/entries/000.p/1")
	must(err)
	leaf, _, err := torchwood.ReadTileEntry(bundle)
	must(err)
	entry, err := proof.ParseEntry(leaf)
	must(err)
	var sums []string
	for _, sum := range entry.Sums {
		sums = append(sums, fmt.Sprint(sum.Who, " ", sum.Kind, " ", sum.Result, " ", sum.Count))
	}
	const want = "relay copy failed 1, relay copy ok 1, relay webhook failed 1, relay webhook ok 1"
	if got := strings.Join(sums, ", "); got != want {
		t.Errorf("the log says %s, want %s", got, want)
	}
}

func TestLogCondition_SaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		state     ledger.State
		witnessed bool
		status    contract.ConditionStatus
		reason    string
		says      string
	}{
		"signed":               {ledger.State{Signed: 1}, false, contract.True, ReasonLogSigned, ""},
		"cosigned":             {ledger.State{Signed: 1, Witnessed: 1}, true, contract.True, ReasonLogWitnessed, ""},
		"not written":          {ledger.State{Signed: 1, Witnessed: 1, Unwritten: store.ErrFull}, true, contract.False, ReasonLogNotWritten, "VolumeHasRoom"},
		"new":                  {ledger.State{}, false, contract.Unknown, ReasonLogNotYet, ""},
		"not asked":            {ledger.State{Signed: 1}, true, contract.Unknown, ReasonWitnessNotAsked, ""},
		"an old set-up":        {ledger.State{Unsigned: fmt.Errorf("x: %w", vault.ErrDenied)}, false, contract.False, ReasonLogNotSigned, "kubectl relay setup vault"},
		"Vault is sealed":      {ledger.State{Signed: 1, Unsigned: vault.ErrSealed}, false, contract.False, ReasonLogNotSigned, "not signed"},
		"rolled back":          {ledger.State{Signed: 1, Away: ledger.ErrRolledBack}, true, contract.False, ReasonLogRolledBack, "put back"},
		"forked":               {ledger.State{Signed: 1, Away: ledger.ErrForked}, true, contract.False, ReasonLogForked, "audit verify"},
		"unknown there":        {ledger.State{Signed: 1, Away: ledger.ErrRefused}, true, contract.False, ReasonWitnessRefuses, "relay witness add"},
		"another key":          {ledger.State{Signed: 1, Away: fmt.Errorf("x: %w", proof.ErrSignature)}, true, contract.False, ReasonWitnessAway, "publicKey"},
		"away":                 {ledger.State{Signed: 1, Away: context.DeadlineExceeded}, true, contract.False, ReasonWitnessAway, "does not answer"},
		"unsigned and forked":  {ledger.State{Signed: 1, Unsigned: vault.ErrSealed, Away: ledger.ErrForked}, true, contract.False, ReasonLogNotSigned, ""},
		"away, cosigned early": {ledger.State{Signed: 9, Witnessed: 5, Away: context.DeadlineExceeded}, true, contract.False, ReasonWitnessAway, ""},
	} {
		got := logCondition(c.state, c.witnessed)
		if got.Type != contract.ConditionLogVerifiable || got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLogProblems_AreToldApart(t *testing.T) {
	for want, s := range map[string]ledger.State{
		"":                {Size: 3, Signed: 3, Witnessed: 3},
		"unwritten":       {Unwritten: store.ErrFull},
		"unsigned":        {Unsigned: vault.ErrDenied},
		"witness_away":    {Away: proof.ErrSignature},
		"witness_refuses": {Away: ledger.ErrRefused},
		"rolled_back":     {Away: ledger.ErrRolledBack},
		"forked":          {Away: ledger.ErrForked},
	} {
		found := logProblems(s)
		for problem, is := range found {
			if is != (problem == want) {
				t.Errorf("%q: %v", want, found)
			}
		}
		if want != "" && !found[want] {
			t.Errorf("%q is not told: %v", want, found)
		}
	}
}
