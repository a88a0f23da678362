package link_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/nightly"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// TestMessages_ArriveOnceUnderRandomCuts has two relays write to each other
// while the proxy breaks the links of both at random elements in every way it knows.
func TestMessages_ArriveOnceUnderRandomCuts(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes with real servers")
	}
	t.Run("prosody", func(t *testing.T) {
		underCuts(t, prosody.StartT(t, prosody.Options{Registration: true}), nightly.Or(1000, 160), nightly.Or(250, 60))
	})
	t.Run("ejabberd", func(t *testing.T) {
		underCuts(t, ejabberd.StartT(t, ejabberd.Options{Registration: true}), nightly.Or(100, 70), nightly.Or(125, 90))
	})
}

// underCuts has both sides write each messages, while about one element of oneIn meets
// a fault.
func underCuts(t *testing.T, s customers.Carrier, each, oneIn int) {
	p := faultproxy.StartT(t, s)
	a, b := startRelay(t, p, "+15550100001", 1001), startRelay(t, p, "+15550100002", 1002)
	a.knows(b, 1002)
	b.knows(a, 1001)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	faults, broke := faultproxy.Faults(), 0
	p.Follow(func(faultproxy.Way, []byte) faultproxy.Fault {
		if random.IntN(oneIn) > 0 {
			return faultproxy.Pass
		}
		broke++
		return faults[random.IntN(len(faults))]
	})
	var group sync.WaitGroup
	group.Go(func() { a.writes(b, each) })
	group.Go(func() { b.writes(a, each) })
	group.Wait()
	for _, r := range []*relay{a, b} {
		for texts, delivered := r.count("delivered"); texts < each || delivered < each; {
			before := texts + delivered // there is much to do: what counts is that it goes on
			await.Until(t, fmt.Sprintf("more than %d texts and %d receipts of %d", texts, delivered, each), func() bool {
				texts, delivered = r.count("delivered")
				return texts+delivered > before
			})
		}
	}
	p.Follow(func(faultproxy.Way, []byte) faultproxy.Fault { return faultproxy.Pass })
	for _, r := range []*relay{a, b} {
		t.Logf("%d were sent again, %d doubles were dropped", r.Count(message.EventResent), r.Count(message.EventReplayed))
	}
	t.Logf("%d faults", broke)
	if broke < 5*each/oneIn {
		t.Errorf("only %d faults: the links were hardly tried", broke)
	}
	a.onceEach()
	b.onceEach()
}

// writes has the business send n texts.
func (r *relay) writes(to *relay, n int) {
	for i := range n {
		if _, err := r.AcceptText(r.t.Context(), message.Text{To: to.number, Body: fmt.Sprintf("text %d", i)}); err != nil {
			r.t.Errorf("sending: %v", err)
		}
	}
}

// onceEach wants every text as one message, every message in every state once, and
// nothing else.
func (r *relay) onceEach() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for text, ids := range r.texts {
		if len(ids) != 1 {
			r.t.Errorf("%q came as %d messages", text, len(ids))
		}
	}
	for _, states := range r.statuses {
		if states["sent"] != 1 || states["delivered"] != 1 || len(states) != 2 {
			r.t.Errorf("a message came to the states %v", states)
		}
	}
	if r.strange > 0 {
		r.t.Errorf("%d messages could not be read", r.strange)
	}
}
