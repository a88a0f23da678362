package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// behind is a configuration that goes through a proxy that sees stanzas, and hardly
// waits when its link was cut.
func behind(c Config, p *faultproxy.Proxy) Config {
	c.Address, c.CABundle = p.Addr, p.CAPEM
	c.MinBackoff, c.MaxBackoff = 5*time.Millisecond, 20*time.Millisecond
	return c
}

// at breaks the link once, at the nth element of one way from now on. Tripped says
// whether it did.
func at(p *faultproxy.Proxy, way faultproxy.Way, nth int, fault faultproxy.Fault) (tripped func() bool) {
	seen, done := 0, false
	p.Follow(func(w faultproxy.Way, _ []byte) faultproxy.Fault {
		if w != way || done {
			return faultproxy.Pass
		}
		if seen++; seen <= nth {
			return faultproxy.Pass
		}
		done = true
		return fault
	})
	return func() (was bool) {
		// Following the next plan orders what this one wrote before what is read.
		p.Follow(func(faultproxy.Way, []byte) faultproxy.Fault { return faultproxy.Pass })
		return done
	}
}

// insist asks until the carrier answers.
func insist(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if err == nil || !errors.Is(err, carrier.ErrOffline) && !errors.Is(err, carrier.ErrUnconfirmed) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// converse has both sides do all that they do, and waits until it arrived once.
func converse(t *testing.T, b, c *node, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	id := fmt.Sprint("m", n)
	for _, step := range []func() error{
		func() error {
			return b.Send(ctx, carrier.Outgoing{ID: id, To: c.number, Envelope: xmpptest.Envelope(n), Receipts: true})
		},
		func() error { return b.PublishDevices(ctx, carrier.Legacy, []carrier.DeviceID{77}) },
		func() error {
			return b.SendReceipts(ctx, carrier.OutgoingReceipt{To: c.number, ID: id, Kind: carrier.Read})
		},
	} {
		if err := insist(ctx, step); err != nil {
			t.Fatalf("conversation %d: %v", n, err)
		}
	}
	if err := c.persist(ctx, b, id, n); err != nil {
		t.Fatal(err)
	}
	for _, side := range []*node{b, c} {
		side.wait(t, "message "+id, func() bool {
			return slices.ContainsFunc(side.messages, func(m carrier.Message) bool { return m.ID == id })
		})
	}
	c.wait(t, "receipt", func() bool {
		return slices.ContainsFunc(c.receipts, func(r carrier.Receipt) bool { return r.ID == id })
	})
}

// faultsFor are the cuts that are tried with a server; the second one needs no more
// than those that tell it from the first.
func faultsFor(s server) []faultproxy.Fault {
	if _, first := s.(*prosody.Server); first {
		return []faultproxy.Fault{faultproxy.Drop, faultproxy.Reset, faultproxy.Swallow}
	}
	return []faultproxy.Fault{faultproxy.Swallow}
}

func TestLinkCutWithinAStanza_LosesAndDoublesNothing(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		p := faultproxy.StartT(t, s)
		conf := behind(config(t, s, xmpptest.Business), p)
		conf.Idle = 4 * time.Second
		b, c := online(t, conf), online(t, config(t, s, xmpptest.Customer))
		b.wait(t, "own devices", func() bool { return len(b.own) > 0 })
		converse(t, b, c, 0)
		var torn atomic.Int32
		p.Follow(func(w faultproxy.Way, e []byte) faultproxy.Fault {
			if w == faultproxy.ToServer && bytes.HasPrefix(e, []byte("<message")) && torn.Add(1) == 1 {
				return faultproxy.Tear
			}
			return faultproxy.Pass
		})
		converse(t, b, c, 1)
		if torn.Load() == 0 {
			t.Error("the link was not cut")
		}
		if theirs, ours := once(b, 2), once(c, 2); theirs > 0 || ours > 0 {
			t.Errorf("%d of the customer's messages and %d of the business's did not arrive once", theirs, ours)
		}
	})
}

// once returns how many of the first messages a side does not have once.
func once(n *node, count int) (wrong int) {
	seen := n.counts()
	for i := range count {
		if seen[fmt.Sprint("m", i)] != 1 {
			wrong++
		}
	}
	return wrong
}

func TestLinkCutAtEveryStanzaLosesAndDoublesNothing(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		p := faultproxy.StartT(t, s)
		b, c := online(t, behind(config(t, s, xmpptest.Business), p)), online(t, config(t, s, xmpptest.Customer))
		b.wait(t, "own devices", func() bool { return len(b.own) > 0 })
		n := 0
		converse(t, b, c, n)
		for _, way := range []faultproxy.Way{faultproxy.ToServer, faultproxy.ToClient} {
			for _, fault := range faultsFor(s) {
				nth := 0
				for broke := true; broke; nth++ {
					n++
					tripped := at(p, way, nth, fault)
					converse(t, b, c, n)
					broke = tripped() && nth < 40
				}
				if nth < 5 {
					t.Errorf("way %v, %v: a conversation has only %d elements", way, fault, nth)
				}
			}
		}
		onceEach(t, b, c, n)
	})
}

func TestLinkCutAtEveryStepOfAResumptionLosesAndDoublesNothing(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		p := faultproxy.StartT(t, s)
		b, c := online(t, behind(config(t, s, xmpptest.Business), p)), online(t, config(t, s, xmpptest.Customer))
		b.wait(t, "own devices", func() bool { return len(b.own) > 0 })
		n := 0
		converse(t, b, c, n)
		for _, way := range []faultproxy.Way{faultproxy.ToServer, faultproxy.ToClient} {
			for nth := range 9 { // headers, SCRAM, resumption, and what is sent again
				n++
				at(p, way, nth, faultsFor(s)[0])
				p.Cut()
				converse(t, b, c, n)
			}
		}
		onceEach(t, b, c, n)
	})
}

// onceEach wants every message of n conversations once at both, in one stream.
func onceEach(t *testing.T, b, c *node, n int) {
	t.Helper()
	unlock := b.lock()
	t.Logf("%d conversations over %d links", n+1, len(b.connected))
	unlock()
	for _, side := range []*node{b, c} {
		for id, times := range side.counts() {
			if times != 1 {
				t.Errorf("message %s arrived %d times", id, times)
			}
		}
		if len(side.counts()) != n+1 {
			t.Errorf("%d messages arrived, want %d", len(side.counts()), n+1)
		}
	}
}
