package xmpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// ledger is a Handler that stores groups as chance has it: whole, in part, or not.
type ledger struct {
	recorder

	mu     sync.Mutex // guards the following fields
	random *rand.Rand
	calm   bool // everything is stored
	stored map[string]bool
}

var errChance = errors.New("as chance has it")

func (l *ledger) chance(oneIn int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.calm && l.random.IntN(oneIn) == 0
}

func (l *ledger) Receive(ctx context.Context, events []carrier.Event) error {
	ids, err := l.accept(ctx, events)
	l.mu.Lock()
	pause := time.Duration(l.random.IntN(30)) * time.Millisecond
	l.mu.Unlock()
	<-time.After(pause)
	for _, id := range ids {
		if l.chance(60) {
			return errChance // those behind are not stored
		}
		l.mu.Lock()
		l.stored[id] = true
		l.mu.Unlock()
	}
	if l.chance(30) {
		return errChance // though all are stored
	}
	return err
}

// accept returns the ids of the messages that will be stored.
func (l *ledger) accept(ctx context.Context, events []carrier.Event) (ids []string, err error) {
	for _, ev := range events {
		m, ok := ev.(carrier.Message)
		if !ok {
			if err := l.receive(ctx, ev); err != nil {
				return ids, err
			}
			continue
		}
		if l.chance(100) {
			return ids, errChance
		}
		ids = append(ids, m.ID)
	}
	return ids, nil
}

// counting is a server that counts as XEP-0198 does, and sends again from where the
// stream goes on.
type counting struct {
	t       *testing.T
	l       *ledger
	random  *rand.Rand
	stanzas []string // ids of messages; empty for what nobody stores
	acked   int      // guarded by l.mu
}

var acks = regexp.MustCompile(`<a xmlns='urn:xmpp:sm:3' h='(\d+)'/>`)

// counted checks a count: all before it is stored.
func (s *counting) counted(h int) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	if h < s.acked || h > len(s.stanzas) {
		s.t.Errorf("counted %d after %d, of %d", h, s.acked, len(s.stanzas))
		return
	}
	for _, id := range s.stanzas[:h] {
		if id != "" && !s.l.stored[id] {
			s.t.Errorf("message %s counts, and is not stored", id)
		}
	}
	s.acked = h
}

// listen reads what the carrier writes.
func (s *counting) listen(c net.Conn) {
	var seen []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		seen = append(seen, buf[:n]...)
		for at := acks.FindSubmatchIndex(seen); at != nil; at = acks.FindSubmatchIndex(seen) {
			h, _ := strconv.Atoi(string(seen[at[2]:at[3]]))
			s.counted(h)
			seen = seen[at[1]:]
		}
	}
}

func (s *counting) stanza(i int) string {
	if s.stanzas[i] == "" {
		return fmt.Sprintf("<iq type='get' id='i%d' from='relay.test'><ping xmlns='%s'/></iq>", i, stanza.NSPing)
	}
	return numbered(s.stanzas[i])
}

// talk sends everything from a count on, with requests in between, and may break the
// link.
func (s *counting) talk(c net.Conn, from int) {
	for i := from; i < len(s.stanzas); i++ {
		text := s.stanza(i)
		if s.random.IntN(5) == 0 {
			text += "<r xmlns='" + stanza.NSSM + "'/>"
		}
		if s.random.IntN(150) == 0 {
			_ = c.Close()
		}
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		if s.random.IntN(20) == 0 {
			<-time.After(time.Duration(s.random.IntN(100)) * time.Millisecond)
		}
	}
	_, _ = io.WriteString(c, "<r xmlns='"+stanza.NSSM+"'/>")
}

func TestLedger_CountsOnlyWhatIsStored(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { keepCount(t, seed) })
	}
}

func keepCount(t *testing.T, seed uint64) {
	l := &ledger{random: rand.New(rand.NewPCG(seed, 0)), stored: map[string]bool{}}
	s := &counting{t: t, l: l, random: rand.New(rand.NewPCG(seed, 1)), stanzas: make([]string, 600)}
	for i := range s.stanzas {
		if s.random.IntN(4) > 0 {
			s.stanzas[i] = fmt.Sprint("m", i)
		}
	}
	c, err := New(Config{Login: Login{Account: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test", Password: password}, reportWithin: 20 * time.Millisecond})
	check(t, err)
	c.stream.Begin("of this test")
	links := 0
	for s.last() < len(s.stanzas) && !t.Failed() {
		if links++; links == 60 {
			l.mu.Lock()
			l.calm = true
			l.mu.Unlock()
		}
		if links > 200 {
			t.Fatalf("seed %d: no end, at %d", seed, s.last())
		}
		s.counted(int(c.stream.Counts().Handled)) // as it is told when the stream is resumed
		s.link(c)
	}
	t.Logf("seed %d: %d links", seed, links)
}

func (s *counting) last() int {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	return s.acked
}

// link serves one link until it ends, or all is counted.
func (s *counting) link(c *Carrier) {
	ours, theirs := net.Pipe()
	l := stream.NewLink(ours, c.cfg.stream())
	c.stream.Attach(l)
	var group sync.WaitGroup
	group.Go(func() { s.listen(theirs) })
	from := int(c.stream.Counts().Handled)
	group.Go(func() { s.talk(theirs, from) })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = c.serve(ctx, l, s.l)
	_ = theirs.Close()
	group.Wait()
}
