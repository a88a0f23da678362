package xmpp

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Bounds on reading the archive.
const (
	archivePage = 100
	// maxArchived is how many messages are read in one go: a server that invents
	// more is not believed, and what waits for longer came by other ways.
	maxArchived = 100_000
	// archiveRetry is how long after a failure the archive is read again.
	archiveRetry = 30 * time.Second
)

// catchUp reads what the archive holds past our position, and tries again until that is
// done or ctx ends. Until the Handler has received it, the position stays where it is. A
// server without an archive has other ways to keep what waits.
func (s *service) catchUp(ctx context.Context) {
	read := func() (struct{}, error) {
		err := s.readArchive(ctx)
		if stanza.IsCondition(err, "service-unavailable", "feature-not-implemented") {
			err = nil
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, read, backoff.WithBackOff(evenly(archiveRetry)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) {
			s.c.cfg.Log.WarnContext(ctx, "cannot read the archive, retrying", "error", err)
		}))
	if err == nil {
		s.enqueue(ctx, item{events: []carrier.Event{carrier.CaughtUp{}}})
	}
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
	s.c.progress.query, s.c.progress.wanted = query, wanted
	s.c.mu.Unlock()
	defer func() {
		s.c.mu.Lock()
		s.c.progress.query = ""
		s.c.mu.Unlock()
	}()
	answer, err := s.c.questions.set(ctx, stanza.New(stanza.NSArchive, "query", "queryid", query).With(set))
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
	wanted := s.c.progress.wanted
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

// archiveID returns the id under which our archive has a message that arrived just
// now (XEP-0359), or "".
func (c *Carrier) archiveID(e *stanza.Element) string {
	for _, child := range e.Children {
		if child.Is(stanza.NSStanzaID, "stanza-id") && child.Attr("by") == c.addr.Of(c.addr.Own) && len(child.Attr("id")) <= stanza.MaxID {
			return child.Attr("id")
		}
	}
	return ""
}

// brought reports whether a message is one that our own archive was asked for.
func (s *service) brought(e, result *stanza.Element) bool {
	from, _ := s.c.addr.Origin(e.Attr("from"))
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	asked := s.c.progress.query != "" && result.Attr("queryid") == s.c.progress.query
	return from == stanza.FromOwn && asked && len(result.Attr("id")) <= stanza.MaxID
}
