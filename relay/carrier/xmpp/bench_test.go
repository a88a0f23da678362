package xmpp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// BenchmarkMessagesThroughProsody is one account's messages to another, each
// acknowledged by the server and stored by the receiver, 64 under way at once. The
// server shares the machine.
func BenchmarkMessagesThroughProsody(b *testing.B) {
	s := prosody.StartT(b, prosody.Options{Registration: true})
	from, to := online(b, config(b, s, business)), online(b, config(b, s, customer))
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				o := carrier.Outgoing{ID: fmt.Sprint(i), To: to.number, Envelope: envelope(i), Receipts: true}
				if err := from.Send(b.Context(), o); err != nil {
					b.Errorf("sending: %v", err)
				}
			}
		})
	}
	wg.Wait()
	to.wait(b, "all messages", func() bool { return len(to.messages) == b.N })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
