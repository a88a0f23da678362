package serve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"

	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
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
