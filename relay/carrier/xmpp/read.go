package xmpp

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// read reads elements off the link until it ends.
func (s *service) read(ctx context.Context) {
	for {
		e, err := s.l.Next()
		if errors.Is(err, stream.ErrEndless) {
			// Counted first, so that the server does not send it again on the next link.
			s.oversized(ctx, e, err)
			return
		}
		if err != nil {
			s.l.End(err)
			return
		}
		if e.Over != "" {
			s.oversized(ctx, e, nil)
			continue
		}
		if err := s.element(ctx, e); err != nil {
			s.l.End(err)
			return
		}
	}
}

// element acts on one element of the stream.
func (s *service) element(ctx context.Context, e *stanza.Element) error {
	size := s.l.Size()
	switch {
	case e.Is(stanza.NSSM, "r"):
		s.inbound.Requested()
		return nil
	case e.Is(stanza.NSSM, "a"):
		s.settled = true
		return s.c.stream.Confirm(s.l, e.Attr("h"))
	case e.Is(stanza.NSClient, "iq"):
		s.enqueue(ctx, item{events: s.receiveIQ(e), counted: true})
	case e.Is(stanza.NSClient, "presence"):
		s.c.receivePresence(e)
		s.enqueue(ctx, item{counted: true})
	case e.Is(stanza.NSClient, "message"):
		s.c.noteReturned(e)
		it := s.message(e)
		it.size = size
		if e.Child(stanza.NSArchive, "result") != nil {
			s.held.came(it.archive)
		} else if s.held.hold(it) {
			it = item{counted: true}
		}
		s.enqueue(ctx, it)
	}
	return nil
}

// oversized acts on a stanza that breaks a bound. It is counted and reported like any other,
// or the server would send it again at each resumption. Given an end, the link ends once this
// stanza and all before it are handled.
func (s *service) oversized(ctx context.Context, e *stanza.Element, end error) {
	it := item{counted: true}
	switch {
	case e.Is(stanza.NSClient, "message"):
		it = s.message(e)
		it.end = end
		s.enqueue(ctx, it)
		return
	case e.Is(stanza.NSClient, "iq"):
		s.receiveIQ(e)
	case e.Is(stanza.NSClient, "presence"):
		s.c.receivePresence(e)
	default:
		it.counted = false // not a stanza
	}
	it.end = end
	s.c.cfg.Metrics.Dropped(e.Over)
	s.enqueue(ctx, it)
}

// message reads a message that arrived, directly or from the archive.
func (s *service) message(e *stanza.Element) item {
	r, id, gap := s.reading(e, s.c.cfg.Now())
	for _, d := range r.Drops {
		s.c.cfg.Metrics.Dropped(d)
	}
	return item{events: r.Events, counted: true, archive: id, gap: gap}
}

// reading returns what a message says, its id in our archive, and whether there is a gap
// before it.
func (s *service) reading(e *stanza.Element, now time.Time) (r stanza.Reading, id string, gap bool) {
	if e.Child(stanza.NSArchive, "result") != nil {
		r, id = s.archived(e, now)
		return r, id, false
	}
	gap = !s.c.reached().caughtUp
	r, id = s.c.reader.Message(e, s.span(now)), s.c.archiveID(e)
	r.Mark(id)
	return r, id, gap
}

// span is when the server may have got a message that arrives now. In a stream that is up,
// no message waited, except while the link was broken.
func (s *service) span(now time.Time) stanza.Span {
	reached := s.c.reached()
	switch {
	case !reached.live:
		return stanza.Span{Now: now}
	case s.settled || reached.left.IsZero():
		return stanza.Span{Since: now, Now: now}
	}
	return stanza.Span{Since: reached.left.Add(-2 * s.c.cfg.Idle), Now: now} // silence may go unnoticed for as long
}
