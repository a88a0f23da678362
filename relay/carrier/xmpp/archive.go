package xmpp

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
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
	if err != nil && !stanza.IsCondition(err, "service-unavailable", "feature-not-implemented") {
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
		if stanza.IsCondition(err, "item-not-found") && read == 0 {
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
	s.c.cfg.Metrics.Dropped(stanza.DropArchive)
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
func (s *service) page(ctx context.Context, set *stanza.Element, wanted bool) (page, error) {
	query := rand.Text()
	s.c.mu.Lock()
	s.c.session.query, s.c.session.wanted = query, wanted
	s.c.mu.Unlock()
	defer func() {
		s.c.mu.Lock()
		s.c.session.query = ""
		s.c.mu.Unlock()
	}()
	answer, err := s.c.instruct(ctx, stanza.New(stanza.NSArchive, "query", "queryid", query).With(set))
	if err != nil {
		return page{}, err
	}
	fin := answer.Child(stanza.NSArchive, "fin")
	p := page{complete: fin != nil && stanza.ParseBool(fin.Attr("complete"))}
	if last := fin.Child(stanza.NSSet, "set").Child(stanza.NSSet, "last"); last != nil && len(last.Text) <= stanza.MaxID {
		p.last = last.Text
	}
	return p, nil
}

// archiveStart is our position in an archive that was empty.
const archiveStart = "-"

// following is the page after a position; the empty one is before the oldest message.
func following(position string) *stanza.Element {
	if position == "" {
		return set("", "", archivePage)
	}
	return set("after", position, archivePage)
}

// set limits a page (XEP-0059).
func set(where, id string, size int) *stanza.Element {
	e := stanza.New(stanza.NSSet, "set").With(stanza.New(stanza.NSSet, "max").WithText(strconv.Itoa(size)))
	if where != "" {
		e.With(stanza.New(stanza.NSSet, where).WithText(id))
	}
	return e
}

// archived reads a message that the archive brings, and returns its id there. Only
// our own account may bring one, and only when it was asked.
func (s *service) archived(e *stanza.Element, now time.Time) (r stanza.Reading, id string) {
	result := e.Child(stanza.NSArchive, "result")
	if !s.brought(e, result) {
		r.Drop(stanza.DropUnasked)
		return r, ""
	}
	s.c.mu.Lock()
	wanted := s.c.session.wanted
	s.c.mu.Unlock()
	switch {
	case !wanted && e.Over == "":
		return r, ""
	case !wanted: // it must not end the next link as well
		r.Drop(e.Over)
		return r, result.Attr("id")
	}
	forwarded := result.Child(stanza.NSForward, "forwarded")
	inner := forwarded.Child(stanza.NSClient, "message")
	if inner == nil {
		r.Drop(cmp.Or(e.Over, stanza.DropMalformed))
		return r, result.Attr("id")
	}
	inner.Over = e.Over
	if origin, _ := s.c.addr.Origin(inner.Attr("from")); origin == stanza.FromOwn || origin == stanza.FromSelf {
		return r, result.Attr("id") // what we sent ourselves
	}
	when := stanza.Span{Since: now, Now: now}
	if delay := forwarded.Child(stanza.NSDelay, "delay"); delay != nil {
		when.Since = time.Time{}
		inner.With(stanza.New(stanza.NSDelay, "delay", "from", s.c.addr.Domain, "stamp", delay.Attr("stamp")))
	}
	all := s.c.reader.Message(inner, when)
	r.Drops = all.Drops
	for _, ev := range all.Events {
		switch ev.(type) {
		case carrier.Message, carrier.Receipt, carrier.Unread:
			r.Event(ev)
		default: // device lists and bounces of the past are no news
		}
	}
	r.Mark(result.Attr("id"))
	return r, result.Attr("id")
}

// positionOf returns the id under which our archive has a message that arrived just
// now (XEP-0359), or "".
func (s *service) positionOf(e *stanza.Element) string {
	for _, c := range e.Children {
		if c.Is(stanza.NSStanzaID, "stanza-id") && c.Attr("by") == s.c.cfg.bare() && len(c.Attr("id")) <= stanza.MaxID {
			return c.Attr("id")
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
func (s *service) brought(e, result *stanza.Element) bool {
	from, _ := s.c.addr.Origin(e.Attr("from"))
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	asked := s.c.session.query != "" && result.Attr("queryid") == s.c.session.query
	return from == stanza.FromOwn && asked && len(result.Attr("id")) <= stanza.MaxID
}
