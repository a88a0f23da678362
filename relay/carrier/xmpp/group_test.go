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
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// grouping is a Handler that stores what it was given when a group ends, and not before
// it is let.
type grouping struct {
	*recorder
	let    chan error
	begun  chan struct{} // room for one
	groups [][]string    // ids of the messages; guarded by the recorder's lock
}

func (g *grouping) Receive(ctx context.Context, events []carrier.Event) error {
	var ids []string
	for _, ev := range events {
		if m, ok := ev.(carrier.Message); ok {
			ids = append(ids, m.ID)
		} else if err := g.receive(ctx, ev); err != nil {
			return err
		}
	}
	if ids == nil {
		return nil
	}
	select {
	case g.begun <- struct{}{}:
	default:
	}
	select {
	case err := <-g.let:
		if err == nil {
			defer g.lock()()
			g.groups = append(g.groups, ids)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// numbered is a message with an id of its own.
func numbered(id string) string {
	head, tail, _ := strings.Cut(xmpptest.Stanzas()[0], "id='")
	_, tail, _ = strings.Cut(tail, "'")
	return head + "id='" + id + "'" + tail
}

func group(t *testing.T, change func(*Config)) (*scripted, *grouping) {
	t.Helper()
	g := &grouping{let: make(chan error), begun: make(chan struct{}, 1)}
	s := scriptFor(t, change, func(r *recorder) carrier.Handler { g.recorder = r; return g })
	return s, g
}

func TestGroup_IsStoredAndAcknowledgedOnce(t *testing.T) {
	s, g := group(t, func(c *Config) { c.reportWithin = time.Hour })
	s.says(t, numbered("first"))
	<-g.begun
	for i := range 10 {
		s.says(t, numbered(fmt.Sprint("m", i)))
	}
	s.says(t, "<r xmlns='"+stanza.NSSM+"'/>")
	s.hasRead(t)
	g.let <- nil
	g.let <- nil
	s.wrote(t, "<a xmlns='"+stanza.NSSM+"' h='11'/>")
	s.mu.Lock()
	if n := strings.Count(s.seen.String(), "<a "); n != 1 {
		t.Errorf("%d acknowledgements, want one", n)
	}
	s.mu.Unlock()
	defer g.lock()()
	if len(g.groups) != 2 || !slices.Equal(g.groups[1], []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"}) {
		t.Errorf("stored as %v, want the first by itself and the others together", g.groups)
	}
}

func TestGroup_NotStoredIsNotAcknowledged(t *testing.T) {
	s, g := group(t, nil)
	s.says(t, numbered("first"))
	g.let <- errors.New("disk full")
	if err := <-s.ended; stream.ReasonOf(err).Reason != ReasonNotStored {
		t.Errorf("the link ended with %v", err)
	}
	if s.stream.Counts().Handled != 0 {
		t.Errorf("%d stanzas count as handled", s.stream.Counts().Handled)
	}
}

// picky is a Handler that takes each message by itself, and one of them not. It waits
// with the first until it is let.
type picky struct {
	*recorder
	let    chan struct{}
	refuse string
}

func (p *picky) Receive(ctx context.Context, events []carrier.Event) error {
	return carrier.OneByOne(func(ctx context.Context, ev carrier.Event) error {
		if m, ok := ev.(carrier.Message); ok {
			<-p.let
			if m.ID == p.refuse {
				return errors.New("disk full")
			}
		}
		return p.receive(ctx, ev)
	}).Receive(ctx, events)
}

func TestHandler_TakenEventsDoNotComeAgain(t *testing.T) {
	p := &picky{let: make(chan struct{}), refuse: "third"}
	s := scriptFor(t, nil, func(r *recorder) carrier.Handler { p.recorder = r; return p })
	s.says(t, numbered("first")+numbered("second")+numbered("third")+
		"<iq type='get' id='read-up-to-here' from='relay.test'><ping xmlns='"+stanza.NSPing+"'/></iq>")
	s.wrote(t, "read-up-to-here")
	close(p.let)
	if err := <-s.ended; stream.ReasonOf(err).Reason != ReasonNotStored {
		t.Errorf("the link ended with %v", err)
	}
	if s.stream.Counts().Handled != 2 {
		t.Errorf("%d stanzas count as handled, want the 2 before the one that was not taken", s.stream.Counts().Handled)
	}
}

func TestSlowStore_DoesNotKeepTheServerWaiting(t *testing.T) {
	s, g := group(t, func(c *Config) { c.reportWithin = 10 * time.Millisecond })
	s.says(t, numbered("first")+"<r xmlns='"+stanza.NSSM+"'/>")
	s.wrote(t, "<a xmlns='"+stanza.NSSM+"' h='0'/>")
	g.let <- nil
	eventually(t, "the count of what is stored, which the server asks for again", func() bool {
		s.says(t, "<r xmlns='"+stanza.NSSM+"'/>")
		return s.hasWritten("<a xmlns='" + stanza.NSSM + "' h='1'/>")
	})
}

// What we ourselves have for the Handler, as that the archive was read, may come behind a
// stanza that ends the link.
func TestGroup_EndsWithWhatEndsTheLink(t *testing.T) {
	s := &service{queue: make(chan item, 3)}
	s.queue <- item{counted: true, end: stream.ErrEndless}
	s.queue <- item{events: []carrier.Event{carrier.CaughtUp{}}}
	items := s.waiting(item{counted: true})
	if len(items) != 2 || items[1].end == nil {
		t.Errorf("a group of %d items, want it to end with the second", len(items))
	}
}
