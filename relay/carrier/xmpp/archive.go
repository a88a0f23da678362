package xmpp

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Bounds on reading the archive.
const (
	// maxPages is how many pages are read at one time. A server that claims to have more is not believed, and what has
	// waited longer came in other ways.
	maxPages = 2000
	// archiveRetry is how long to wait after a failure before reading the archive again.
	archiveRetry = 30 * time.Second
)

// errTooMuch says that more was archived than is read at one time, and that some of it did not come in another way.
var errTooMuch = errors.New("the archive has more than is read at one time")

// catchUp reads what the archive holds past our position, and retries until that succeeds
// or ctx ends. The position does not move until the Handler has received it all. A server
// without an archive keeps waiting messages in other ways.
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
	s.held.begin()
	defer func() { s.release(ctx, s.held.end()) }()
	end, err := s.page(ctx, set("before", "", 1), false)
	if err != nil {
		return err
	}
	s.held.waitFor(end.last)
	for read := range maxPages {
		owed := s.held.owing()
		p, err := s.page(ctx, s.following(after), true)
		if read == 0 && after != "" {
			p, err = s.orOldest(ctx, after, p, err)
		}
		if err != nil {
			return err
		}
		noMore := p.last == "" || p.last == after
		rest, done := s.held.finish(owed, noMore || p.complete)
		for ; len(rest) > 0; rest, done = s.held.finish(owed, noMore || p.complete) {
			s.release(ctx, rest)
		}
		if done {
			return nil
		}
		if !noMore {
			after = p.last
		}
	}
	s.c.cfg.Metrics.Dropped(stanza.DropArchive)
	if s.held.owing() != "" {
		return errTooMuch
	}
	return nil
}

// orOldest returns the first page, unless the server does not know our position: then it
// returns the page that begins at the oldest message. Servers answer an unknown position
// with item-not-found (XEP-0313, 4.3.1); ejabberd answers with an empty page, so an archive
// that ends elsewhere does not have it.
func (s *service) orOldest(ctx context.Context, after string, first page, err error) (page, error) {
	if err == nil && first.last == "" {
		end, err := s.page(ctx, set("before", "", 1), false)
		if err != nil || end.last == "" || end.last == after {
			return first, err
		}
		// Something may have arrived after the first page.
		if first, err = s.page(ctx, s.following(after), true); err != nil || first.last != "" {
			return first, err
		}
	} else if !stanza.IsCondition(err, "item-not-found") {
		return first, err
	}
	return s.page(ctx, s.following(""), true)
}

// begin makes the archive's end our position: older messages came, or wait, in other ways.
func (s *service) begin(ctx context.Context) error {
	p, err := s.page(ctx, set("before", "", 1), false)
	if err != nil {
		return err
	}
	if p.last == "" {
		p.last = archiveStart
	}
	// Queued behind what arrived meanwhile, which is in the archive too and not stored yet.
	if !s.enqueue(ctx, item{archive: p.last}) {
		return ctx.Err()
	}
	return nil
}

// page is what a server says about one page of the archive.
type page struct {
	last     string
	complete bool
}

// page asks for a page. If its messages are wanted, they go to the Handler in order with
// everything else that arrives.
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

// following is the page after a position; the empty position is before the oldest message.
func (s *service) following(position string) *stanza.Element {
	if position == "" {
		return set("", "", s.c.cfg.page)
	}
	return set("after", position, s.c.cfg.page)
}

// set limits a page (XEP-0059).
func set(where, id string, size int) *stanza.Element {
	e := stanza.New(stanza.NSSet, "set").With(stanza.New(stanza.NSSet, "max").WithText(strconv.Itoa(size)))
	if where != "" {
		e.With(stanza.New(stanza.NSSet, where).WithText(id))
	}
	return e
}

// archived reads a message that comes from the archive, and returns its id there. Only
// our own account may send one, and only when we asked for it.
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
	case !wanted: // remember its id, or it would end the next link as well
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
		case carrier.Message, carrier.Receipt, carrier.Unread, carrier.Reaction, carrier.Retraction:
			r.Event(ev)
		default: // old device lists and bounces are no news
		}
	}
	r.Mark(result.Attr("id"))
	return r, result.Attr("id")
}

// archiveID returns the id that a message which has just arrived has in our archive
// (XEP-0359), or "".
func (c *Carrier) archiveID(e *stanza.Element) string {
	for _, child := range e.Children {
		if child.Is(stanza.NSStanzaID, "stanza-id") && child.Attr("by") == c.addr.Of(c.addr.Own) && len(child.Attr("id")) <= stanza.MaxID {
			return child.Attr("id")
		}
	}
	return ""
}

// brought reports whether a message answers our own question to the archive.
func (s *service) brought(e, result *stanza.Element) bool {
	from, _ := s.c.addr.Origin(e.Attr("from"))
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	asked := s.c.progress.query != "" && result.Attr("queryid") == s.c.progress.query
	return from == stanza.FromOwn && asked && len(result.Attr("id")) <= stanza.MaxID
}
