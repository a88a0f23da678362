package xmpp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/nightly"
)

func TestBlockedNumber_MessagesAreHeldBack(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, other := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer)), online(t, config(t, s, xmpptest.Third))
		ctx := t.Context()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		blocked(t, b)
		check(b.Block(ctx, []phone.Number{c.number}))
		blocked(t, b, c.number)
		_ = c.Send(ctx, carrier.Outgoing{ID: "held", To: b.number, Envelope: xmpptest.Envelope(1)})
		other.send(t, b, 2)
		b.wait(t, "the other's message", func() bool { return len(b.messages) > 0 })
		check(b.Unblock(ctx, []phone.Number{c.number}))
		check(b.Unblock(ctx, nil)) // nobody, and not everybody
		blocked(t, b)
		c.send(t, b, 3)
		b.wait(t, "the message after", func() bool { return len(b.messages) == 2 })
		if ids := []string{b.messages[0].ID, b.messages[1].ID}; !slices.Equal(ids, []string{"m2", "m3"}) {
			t.Errorf("arrived: %v", ids)
		}
	})
}

// blocked looks who is on the server's list.
func blocked(t *testing.T, b *node, want ...phone.Number) {
	t.Helper()
	got, err := b.Blocked(context.Background())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d are blocked, want %d: %v", len(got), len(want), err)
	}
}

// manyNumbers are n numbers of nobody.
func manyNumbers(t *testing.T, n int) []phone.Number {
	t.Helper()
	all := make([]phone.Number, n)
	for i := range all {
		all[i] = xmpptest.Number(t, fmt.Sprintf("+4915550%06d", i))
	}
	return all
}

func TestBlockList_LongestIsReadAndChanged(t *testing.T) {
	if testing.Short() {
		t.Skip("a list of thousands")
	}
	onServers(t, func(t *testing.T, s server) {
		// Servers rewrite the whole list at each change: the longest takes ejabberd minutes.
		most := nightly.Or(64_000, 12_000)
		conf := config(t, s, xmpptest.Business)
		conf.IQTimeout = time.Minute
		b, c := online(t, conf), online(t, config(t, s, xmpptest.Customer))
		all, begun := manyNumbers(t, most), time.Now()
		check(t, b.Block(t.Context(), all[:most-2]))
		t.Logf("blocked after %v", time.Since(begun))
		check(t, b.Block(t.Context(), all[most-2:]))
		blockedMany(t, b, all)
		check(t, b.Unblock(t.Context(), all[:3]))
		blockedMany(t, b, all[3:])
		check(t, b.Block(t.Context(), all[:3]))
		b.stop()
		b.start(t)
		b.wait(t, "the next stream", func() bool { return len(b.connected) == 2 })
		blockedMany(t, b, all)
		c.send(t, b, 1)
		b.wait(t, "a message", func() bool { return len(b.messages) == 1 })
		defer b.lock()()
		if len(b.connected) != 2 {
			t.Errorf("%d links, want 2", len(b.connected))
		}
	})
}

func blockedMany(t *testing.T, b *node, want []phone.Number) {
	t.Helper()
	begun := time.Now()
	got, err := b.Blocked(t.Context())
	check(t, err)
	t.Logf("%d were listed within %v", len(got), time.Since(begun))
	in := map[phone.Number]bool{}
	for _, n := range got {
		in[n] = true
	}
	for _, n := range want {
		if !in[n] {
			t.Fatalf("%d of %d are listed", len(got), len(want))
		}
	}
	if len(in) != len(want) {
		t.Errorf("%d are listed, want %d", len(in), len(want))
	}
}

func TestBlockList_OfAsManyAsMayBeBlockedIsRead(t *testing.T) {
	s := script(t, nil)
	for entries, want := range map[int]error{64_000: nil, maxBlocklist + 1: errLongAnswer} {
		if err := s.asksBlocked(t, entries); !errors.Is(err, want) {
			t.Errorf("%d entries: %v, want %v", entries, err, want)
		}
	}
	s.says(t, xmpptest.Stanzas()[0])
	s.wait(t, "the next message", func() bool { return len(s.messages) == 1 })
}

// asksBlocked asks for the block list, which has so many entries.
func (s *scripted) asksBlocked(t *testing.T, entries int) error {
	t.Helper()
	s.mu.Lock()
	s.seen.Reset()
	s.mu.Unlock()
	got := make(chan error, 1)
	go func() { _, err := s.Blocked(t.Context()); got <- err }()
	s.wrote(t, "<blocklist")
	s.mu.Lock()
	before, _, _ := strings.Cut(s.seen.String(), "'><blocklist")
	s.mu.Unlock()
	id := before[strings.LastIndex(before, "'")+1:]
	s.says(t, "<iq type='result' id='"+id+"'><blocklist xmlns='"+nsBlocking+"'>"+strings.Repeat("<item jid='+15550100009@relay.test'/>", entries)+"</blocklist></iq>")
	return <-got
}
