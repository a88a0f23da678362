package xmpp

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Archive keeps how far the account's archive at the server (XEP-0313) was read, so
// that what arrived meanwhile is read from there when a session cannot be resumed.
// Positions are the server's and mean nothing to others.
type Archive interface {
	// Position returns the last one that was set, or "" when there is none.
	Position(ctx context.Context) (string, error)
	SetPosition(ctx context.Context, id string) error
}

// Bounds on reading the archive.
const (
	archivePage = 100
	// maxArchived is how many messages are read in one go: a server that invents
	// more is not believed, and what waits for longer came by other ways.
	maxArchived = 100_000
	// archiveRetry is how long after a failure the archive is read again.
	archiveRetry = 30 * time.Second
	// positionEvery is how often a position is kept at most.
	positionEvery = time.Second
)

// catchUp reads what the archive holds past our position and says whether that is
// done. Until the Handler has taken it, the position stays where it is. A server
// without an archive has other ways to keep what waits.
func (s *service) catchUp(ctx context.Context) bool {
	err := s.readArchive(ctx)
	if err != nil && !isCondition(err, "service-unavailable", "feature-not-implemented") {
		if ctx.Err() == nil {
			s.c.cfg.Log.WarnContext(ctx, "the archive could not be read; it is tried again", "error", err)
		}
		return false
	}
	return s.enqueue(ctx, item{events: []carrier.Event{carrier.CaughtUp{}}})
}

func (s *service) readArchive(ctx context.Context) error {
	after, err := s.c.cfg.Archive.Position(ctx)
	if err != nil {
		return fmt.Errorf("reading the position in the archive: %w", err)
	}
	if after == "" {
		return s.begin(ctx)
	}
	if after == archiveStart {
		after = ""
	}
	for read := 0; read < maxArchived; read += archivePage {
		p, err := s.page(ctx, following(after), true)
		if isCondition(err, "item-not-found") && read == 0 {
			// The server forgot our position: what it still has is all that there is.
			p, err = s.page(ctx, following(""), true)
		}
		if err != nil {
			return err
		}
		if p.complete || p.last == "" || p.last == after {
			return nil
		}
		after = p.last
	}
	s.c.cfg.Metrics.Dropped(DropArchive)
	return nil
}

// begin takes the archive's end as our position: what is older came, or waits, by
// other ways.
func (s *service) begin(ctx context.Context) error {
	p, err := s.page(ctx, set("before", "", 1), false)
	if err != nil {
		return err
	}
	if p.last == "" {
		p.last = archiveStart
	}
	// Behind what arrived meanwhile: that is in the archive, too, and not stored yet.
	if !s.enqueue(ctx, item{archive: p.last}) {
		return ctx.Err()
	}
	return nil
}

// page is what a server says of one page of the archive.
type page struct {
	last     string
	complete bool
}

// page asks for a page. Its messages go to the Handler, if they are wanted, in the
// order of what else arrives.
func (s *service) page(ctx context.Context, set *element, wanted bool) (page, error) {
	query := rand.Text()
	s.c.mu.Lock()
	s.c.session.query, s.c.session.wanted = query, wanted
	s.c.mu.Unlock()
	defer func() {
		s.c.mu.Lock()
		s.c.session.query = ""
		s.c.mu.Unlock()
	}()
	answer, err := s.c.instruct(ctx, elem(nsArchive, "query", "queryid", query).with(set))
	if err != nil {
		return page{}, err
	}
	fin := answer.child(nsArchive, "fin")
	p := page{complete: fin != nil && parseBool(fin.attr("complete"))}
	if last := fin.child(nsSet, "set").child(nsSet, "last"); last != nil && len(last.text) <= maxID {
		p.last = last.text
	}
	return p, nil
}

// archiveStart is our position in an archive that was empty.
const archiveStart = "-"

// following is the page after a position; the empty one is before the oldest message.
func following(position string) *element {
	if position == "" {
		return set("", "", archivePage)
	}
	return set("after", position, archivePage)
}

// set limits a page (XEP-0059).
func set(where, id string, size int) *element {
	e := elem(nsSet, "set").with(elem(nsSet, "max").withText(strconv.Itoa(size)))
	if where != "" {
		e.with(elem(nsSet, where).withText(id))
	}
	return e
}

// archived reads a message that the archive brings, and returns its id there. Only
// our own account may bring one, and only when it was asked.
func (s *service) archived(e *element, now time.Time) (r reading, id string) {
	result := e.child(nsArchive, "result")
	if !s.brought(e, result) {
		r.drop(DropUnasked)
		return r, ""
	}
	s.c.mu.Lock()
	wanted := s.c.session.wanted
	s.c.mu.Unlock()
	switch {
	case !wanted && e.over == "":
		return r, ""
	case !wanted: // it must not end the next link as well
		r.drop(e.over)
		return r, result.attr("id")
	}
	forwarded := result.child(nsForward, "forwarded")
	inner := forwarded.child(nsClient, "message")
	if inner == nil {
		r.drop(cmp.Or(e.over, DropMalformed))
		return r, result.attr("id")
	}
	inner.over = e.over
	if origin, _ := s.c.addr.origin(inner.attr("from")); origin == fromOwn || origin == fromSelf {
		return r, result.attr("id") // what we sent ourselves
	}
	when := span{since: now, now: now}
	if delay := forwarded.child(nsDelay, "delay"); delay != nil {
		when.since = time.Time{}
		inner.with(elem(nsDelay, "delay", "from", s.c.addr.domain, "stamp", delay.attr("stamp")))
	}
	all := s.c.reader.message(inner, when)
	r.drops = all.drops
	for _, ev := range all.events {
		switch ev.(type) {
		case carrier.Message, carrier.Receipt, carrier.Unread:
			r.event(ev)
		default: // device lists and bounces of the past are no news
		}
	}
	r.mark(result.attr("id"))
	return r, result.attr("id")
}

// positionOf returns the id under which our archive has a message that arrived just
// now (XEP-0359), or "".
func (s *service) positionOf(e *element) string {
	for _, c := range e.children {
		if c.is(nsStanzaID, "stanza-id") && c.attr("by") == s.c.cfg.bare() && len(c.attr("id")) <= maxID {
			return c.attr("id")
		}
	}
	return ""
}

// reached notes that everything up to an item was taken.
func (s *service) reached(it item) {
	if s.c.cfg.Archive != nil && it.archive != "" && !it.gap {
		s.position = it.archive
	}
}

// whenToKeep returns what tells that there is a position to be kept; nil while there
// is none.
func (s *service) whenToKeep() <-chan time.Time {
	if s.position == "" {
		return nil
	}
	return time.After(time.Until(s.keepAt))
}

// keepPosition keeps the position that was reached, but only now and then: what is
// read twice is dropped by its ciphertext.
func (s *service) keepPosition(ctx context.Context) error {
	if s.position == "" || time.Now().Before(s.keepAt) {
		return nil
	}
	if err := s.c.cfg.Archive.SetPosition(ctx, s.position); err != nil {
		return fmt.Errorf("keeping the position in the archive: %w", err)
	}
	s.position, s.keepAt = "", time.Now().Add(positionEvery)
	return nil
}

// brought reports whether a message is one that our own archive was asked for.
func (s *service) brought(e, result *element) bool {
	from, _ := s.c.addr.origin(e.attr("from"))
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	asked := s.c.session.query != "" && result.attr("queryid") == s.c.session.query
	return from == fromOwn && asked && len(result.attr("id")) <= maxID
}
