package xmpp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// persist sends a message until the carrier has it, as a relay does.
func (n *node) persist(ctx context.Context, to *node, id string, i int) error {
	for {
		err := n.Send(ctx, carrier.Outgoing{ID: id, To: to.number, Envelope: xmpptest.Envelope(i)})
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !errors.Is(err, carrier.ErrOffline) && !errors.Is(err, carrier.ErrUnconfirmed) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// counts says how often each message arrived.
func (n *node) counts() map[string]int {
	defer n.lock()()
	seen := map[string]int{}
	for _, m := range n.messages {
		seen[m.ID]++
	}
	return seen
}

// through is a configuration that goes through a proxy.
func through(c Config, p *proxy) Config {
	c.Address = p.addr
	return c
}

func TestLinkThatBreaksIsResumed(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		p := newProxy(t, s)
		b, c := online(t, through(config(t, s, xmpptest.Business), p)), online(t, config(t, s, xmpptest.Customer))
		b.send(t, c, 1)
		p.refuse(true)
		b.becomes(t, carrier.Disconnected, ReasonUnreachable)
		if err := b.Send(t.Context(), carrier.Outgoing{ID: "x", To: c.number, Envelope: xmpptest.Envelope(9)}); !errors.Is(err, carrier.ErrOffline) {
			t.Errorf("sending without a link: %v", err)
		}
		for i := range 10 { // the server takes them for the broken stream
			c.send(t, b, i)
		}
		p.refuse(false)
		b.wait(t, "messages of the meantime", func() bool { return len(b.messages) == 10 })
		b.send(t, c, 2)
		defer b.lock()()
		if len(b.connected) != 2 || b.connected[0] || !b.connected[1] {
			t.Errorf("links, true for resumed: %v", b.connected)
		}
	})
}

func TestMessageThatIsNotStoredComesAgain(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		failures := map[string]int{}
		unlock := b.lock()
		b.fail = func(m carrier.Message) error {
			if failures[m.ID]++; failures[m.ID] <= 2 && m.ID == "m3" {
				return errors.New("disk full")
			}
			return nil
		}
		unlock()
		for i := range 6 {
			c.send(t, b, i)
		}
		b.wait(t, "all messages", func() bool { return len(b.messages) == 6 })
		defer b.lock()()
		for i, m := range b.messages {
			if m.ID != fmt.Sprint("m", i) {
				t.Errorf("message %d is %s: out of order or doubled", i, m.ID)
			}
		}
		if failures["m3"] != 3 {
			t.Errorf("the refused message came %d times, want 3", failures["m3"])
		}
	})
}

func TestSendWaitsForTheServersAcknowledgement(t *testing.T) {
	onOwnServers(t, true, func(t *testing.T, s server) {
		b := online(t, config(t, s, xmpptest.Business))
		s.Freeze()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		o := carrier.Outgoing{ID: "frozen", To: xmpptest.Number(t, xmpptest.Third), Envelope: xmpptest.Envelope(1)}
		err := b.Send(ctx, o)
		if !errors.Is(err, carrier.ErrUnconfirmed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sending to a frozen server: %v", err)
		}
		// Sent again, it is not doubled: it bounces once, being for nobody.
		again := make(chan error, 1)
		go func() { again <- b.Send(t.Context(), o) }()
		eventually(t, "the second attempt", func() bool { return b.stream.Waiting(messageKey(o.To, o.ID)) == 1 })
		s.Thaw()
		check(t, <-again)
		check(t, b.Send(t.Context(), carrier.Outgoing{ID: "last", To: xmpptest.Number(t, xmpptest.Third), Envelope: xmpptest.Envelope(2)}))
		b.wait(t, "last bounce", func() bool {
			return slices.ContainsFunc(b.bounced, func(x carrier.Bounce) bool { return x.ID == "last" })
		})
		defer b.lock()()
		if len(b.bounced) != 2 {
			t.Errorf("%d messages bounced, want each once", len(b.bounced))
		}
	})
}

func TestServerRestartLosesNothing(t *testing.T) {
	onOwnServers(t, true, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		for i, restart := range []struct {
			name string
			now  func() error
		}{
			{"orderly", func() error { return s.Restart(t.Context()) }},
			{"crash", func() error { s.Kill(); return s.Start(t.Context()) }},
		} {
			t.Run(restart.name, func(t *testing.T) { acrossRestart(t, b, c, 10*i, restart.now) })
		}
	})
}

// acrossRestart has two sides write to each other before and after a restart of their
// server; n is more than that of any message before.
func acrossRestart(t *testing.T, b, c *node, n int, restart func() error) {
	t.Helper()
	got := func(of *node, n int) {
		of.wait(t, "message", func() bool {
			return slices.ContainsFunc(of.messages, func(m carrier.Message) bool { return m.ID == fmt.Sprint("m", n) })
		})
	}
	c.send(t, b, n+1)
	got(b, n+1)
	unlock := b.lock()
	links := len(b.connected)
	unlock()
	check(t, restart())
	check(t, c.persist(t.Context(), b, fmt.Sprint("m", n+2), n+2))
	b.wait(t, "new stream", func() bool { return len(b.connected) > links })
	check(t, b.persist(t.Context(), c, fmt.Sprint("m", n+3), n+3))
	got(b, n+2)
	got(c, n+3)
}

func TestRandomCutsNeitherLoseNorDouble(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		const count = 150
		p := newProxy(t, s)
		b, c := online(t, through(config(t, s, xmpptest.Business), p)), online(t, through(config(t, s, xmpptest.Customer), p))
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		p.mu.Lock()
		p.limit = func() (int64, int64) { return 6000 + random.Int64N(20_000), 6000 + random.Int64N(20_000) }
		p.mu.Unlock()
		p.cut()

		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for _, way := range [][2]*node{{b, c}, {c, b}} {
			next := make(chan int)
			for range 8 {
				wg.Go(func() {
					for i := range next {
						if err := way[0].persist(ctx, way[1], fmt.Sprint("m", i), i); err != nil {
							t.Errorf("sending: %v", err)
						}
					}
				})
			}
			wg.Go(func() {
				defer close(next)
				for i := range count {
					next <- i
				}
			})
		}
		wg.Wait()
		for _, n := range []*node{b, c} {
			eventually(t, "all messages", func() bool { return len(n.counts()) == count })
		}
		for _, n := range []*node{b, c} {
			fresh := 0
			unlock := n.lock()
			for _, resumed := range n.connected {
				if !resumed {
					fresh++
				}
			}
			t.Logf("%d links, %d of them new streams", len(n.connected), fresh)
			unlock()
			for id, times := range n.counts() {
				// ejabberd may send again, after a resumption, what it knows we have. The
				// relay drops doubles by their ciphertext.
				if _, exact := s.(*prosody.Server); exact && times != 1 && fresh == 1 {
					t.Errorf("message %s arrived %d times in one stream", id, times)
				}
			}
		}
	})
}
