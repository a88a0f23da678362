package xmpp

import (
	"context"
	"encoding/xml"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// oversized acts on a stanza that breaks a bound: it is counted and acknowledged like any
// other, or the server would send it again with each resumption. Given an end, the link
// ends when it and all before it are handled.
func (s *service) oversized(ctx context.Context, e *stanza.Element, end error) {
	it := item{counted: true, end: end}
	switch {
	case e.Is(stanza.NSClient, "message"):
		r, position, gap := s.message(e, s.c.cfg.Now())
		for _, d := range r.Drops {
			s.c.cfg.Metrics.Dropped(d)
		}
		it.events, it.archive, it.gap = r.Events, position, gap
		s.enqueue(ctx, it)
		return
	case e.Is(stanza.NSClient, "iq"):
		s.iq(e)
	case e.Is(stanza.NSClient, "presence"):
		s.c.presenceFrom(e)
	default:
		it.counted = false // no stanza
	}
	s.c.cfg.Metrics.Dropped(e.Over)
	s.enqueue(ctx, it)
}

// tooLarge tells a sender to send less (RFC 6120, 8.3.3.12).
func tooLarge() *stanza.Element {
	return stanza.New(stanza.NSClient, "error", "type", "modify").With(stanza.New(stanza.NSStanzas, "policy-violation"))
}

// endAfter ends the link, once the server was told that it need not send again what
// ended it, and the position behind that in the archive is kept.
func (s *service) endAfter(ctx context.Context, end error) {
	s.keepAt = time.Time{}
	if err := s.keepPosition(ctx); err != nil {
		end = failed(ReasonNotStored, err)
	}
	s.ack()
	_ = s.l.flush() // when it fails, the next link says so
	s.l.end(end)
}

// Bounds on what is kept of a stanza's end.
const (
	maxEnding = 4    // children
	maxEnd    = 1024 // bytes of each
)

// ending is the last children of a stanza that is too large: servers add there when they
// took it, and its id in the archive.
type ending struct {
	last [][]byte
	open []byte // the child that is being read; nil for none
	long bool   // and that is not kept
}

// add takes a byte of a stanza. Between says that it stands between two children, and
// closed that the next one does.
func (e *ending) add(b byte, between, closed bool) {
	if between && b == '<' {
		e.open, e.long = make([]byte, 0, 128), false
	}
	switch {
	case e.open == nil:
		return
	case len(e.open) == maxEnd:
		e.long = true
	default:
		e.open = append(e.open, b)
	}
	switch {
	case closed && e.long:
		e.last, e.open = nil, nil // what stands before it is not the end
	case closed:
		e.last = append(e.last[max(0, len(e.last)+1-maxEnding):], e.open)
		e.open = nil
	}
}

// parseEnd reads a stanza's last children. It returns something at any rate: what was
// read of a stanza before is not its end.
func parseEnd(e *ending) []*stanza.Element {
	var text strings.Builder
	for _, child := range e.last {
		text.Write(child)
	}
	dec := xml.NewDecoder(strings.NewReader("<end xmlns='" + stanza.NSClient + "'>" + text.String() + "</end>"))
	if tok, err := dec.Token(); err == nil {
		if start, ok := tok.(xml.StartElement); ok {
			if end, err := stanza.ReadElement(dec, start); err == nil && len(end.Children) > 0 {
				return end.Children
			}
		}
	}
	return []*stanza.Element{stanza.New("", "end")}
}
