package xmpp

import (
	"context"
	"time"
)

// oversized acts on a stanza of which there is the head alone, as it breaks a bound: it
// is counted and acknowledged like any other, or the server would send it again with
// each resumption. Given an end, the link ends when it and all before it are handled.
func (s *service) oversized(ctx context.Context, e *element, end error) {
	s.c.cfg.Metrics.Dropped(e.over)
	it := item{counted: true, end: end}
	switch {
	case e.is(nsClient, "iq"):
		s.iq(e)
	case e.is(nsClient, "presence"):
		s.c.presenceFrom(e)
	case e.is(nsClient, "message"):
		it.archive = s.passedOver(e)
	default:
		it.counted = false // no stanza
	}
	s.enqueue(ctx, it)
}

// passedOver answers a message that is not read, and returns its id when it is the
// archive that brings it: what stands behind it there must not wait for it.
func (s *service) passedOver(e *element) (position string) {
	if result := e.child(nsArchive, "result"); result != nil && s.brought(e, result) {
		return result.attr("id")
	}
	from, _ := s.c.addr.origin(e.attr("from"))
	id, kind := e.attr("id"), e.attr("type")
	if from != fromPeer || id == "" || len(id) > maxID || kind != "" && kind != "chat" && kind != "normal" {
		return ""
	}
	_ = s.c.tell(elem(nsClient, "message", "type", "error", "to", e.attr("from"), "id", id).with(tooLarge())) // an error is the link's end
	return ""
}

// brought reports whether a message is one that our own archive was asked for.
func (s *service) brought(e, result *element) bool {
	from, _ := s.c.addr.origin(e.attr("from"))
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	asked := s.c.session.query != "" && result.attr("queryid") == s.c.session.query
	return from == fromOwn && asked && len(result.attr("id")) <= maxID
}

// tooLarge tells a sender to send less (RFC 6120, 8.3.3.12).
func tooLarge() *element {
	return elem(nsClient, "error", "type", "modify").with(elem(nsStanzas, "policy-violation"))
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
