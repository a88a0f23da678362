package xmpp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Bounds on what was read and waits for the Handler.
const (
	maxQueued      = 1024
	maxQueuedBytes = 8 << 20
	// ackEvery is after how many stanzas we acknowledge unasked.
	ackEvery = 64
	// maxGroup is how much of what waits is given to the Handler in one go.
	maxGroup = 64
)

// item is what one stanza, or we ourselves, have for the Handler.
type item struct {
	events  []carrier.Event
	counted bool   // a stanza in the sense of XEP-0198
	archive string // its id in our archive; empty for none
	gap     bool   // when it arrived, what the archive has before it was not all taken
	size    int64
	end     error // the link's, once the item is handled
}

// service is the work on one link.
type service struct {
	c     *Carrier
	l     *link
	queue chan item
	// settled says that what the server sent again for a resumed session is here. It is
	// the reader's.
	settled bool
	room    *semaphore.Weighted // bytes of the queue

	// Of the Handler's goroutine: the position in the archive that is to be kept, and
	// when one may be.
	position string
	keepAt   time.Time

	// guarded by c.mu:
	given   uint32      // stanzas that the Handler has, or that wait for it
	owed    *time.Timer // the server asked for a count that was behind: when it is told that
	lastAck uint32      // the count that we told it last
}

// serve works until the link or ctx ends and returns why. When it returns, the
// Handler is not called any more.
func (c *Carrier) serve(ctx context.Context, l *link, h carrier.Handler) error {
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &service{
		c: c, l: l,
		queue: make(chan item, maxQueued),
		room:  semaphore.NewWeighted(maxQueuedBytes),
	}
	c.mu.Lock()
	announced, introduced, caughtUp := c.session.announced, c.session.introduced, c.session.caughtUp || c.cfg.Archive == nil
	c.mu.Unlock()
	// Its answer stands behind what the server sends again for a resumed session.
	l.write(ackRequest(), false)
	l.wanted, l.frames.ceiling = c.wanted, c.cfg.maxWire
	s.queue <- item{events: []carrier.Event{carrier.Connected{Resumed: announced}}}
	var wg sync.WaitGroup
	wg.Go(l.writer)
	wg.Go(func() { s.read(alive) })
	wg.Go(func() { s.deliver(ctx, h) })
	// Presence before the archive: a server sends no offline messages to who asked for
	// the archive first (Prosody), and what came in between would be in neither.
	if !introduced {
		_ = c.tell(c.presence()) // an error is the link's end
		wg.Go(func() { s.introduce(alive) })
	}
	wg.Go(func() {
		for done := caughtUp || s.catchUp(alive); !done && sleep(alive, jitter(archiveRetry)); {
			done = s.catchUp(alive)
		}
	})
	select {
	case <-l.ended:
	case <-ctx.Done():
		s.ack()
		l.closeStream()
	}
	// Before waiting for the Handler: it may itself be waiting for an answer.
	c.detach()
	cancel()
	wg.Wait()
	return l.err
}

// introduce ends what a new session begins with, after presence: to see which devices
// our account has.
func (s *service) introduce(ctx context.Context) {
	devices, err := s.c.fetchDevices(ctx, "")
	if errors.Is(err, carrier.ErrNotFound) {
		devices, err = []carrier.DeviceID{}, nil
	}
	if err == nil {
		s.enqueue(ctx, item{events: []carrier.Event{carrier.OwnDeviceList{Devices: devices}}})
	}
	// The server has seen our presence by now: behind the answer to a second question
	// there is nothing that had waited for it.
	ping := &question{to: s.c.addr.Domain, then: func() { s.c.session.live = true }}
	_, _ = s.c.put(ctx, ping, "get", stanza.New(stanza.NSPing, "ping")) // an error answers it, too
}

// enqueue waits for room; false means that the link, and with it ctx, ended.
func (s *service) enqueue(ctx context.Context, it item) bool {
	if it.counted {
		s.c.mu.Lock()
		s.given++
		s.c.mu.Unlock()
	}
	if it.size > 0 && s.room.Acquire(ctx, min(it.size, maxQueuedBytes)) != nil {
		return false
	}
	select {
	case s.queue <- it:
		return true
	case <-ctx.Done():
		return false
	}
}

// read takes elements off the link until it ends.
func (s *service) read(ctx context.Context) {
	for {
		e, err := s.l.read()
		if errors.Is(err, errEndless) {
			// Counted first, so that no server sends it again on the next link.
			s.oversized(ctx, e, failed(ReasonProtocolError, err))
			return
		}
		if err != nil {
			s.l.end(endReason(err))
			return
		}
		if e.Over != "" {
			s.oversized(ctx, e, nil)
			continue
		}
		if err := s.element(ctx, e); err != nil {
			s.l.end(err)
			return
		}
	}
}

func endReason(err error) error {
	if se := (*streamError)(nil); errors.As(err, &se) {
		if se.condition == "conflict" {
			return failed(ReasonReplaced, err)
		}
		return failed(ReasonServerClosed, err)
	}
	if errors.Is(err, errStreamClosed) || stanza.CutOff(err) {
		return failed(ReasonServerClosed, err)
	}
	if e := net.Error(nil); errors.As(err, &e) || errors.Is(err, net.ErrClosed) {
		return failed(ReasonLinkLost, fmt.Errorf("reading: %w", err))
	}
	return failed(ReasonProtocolError, err)
}

// element acts on one element of the stream.
func (s *service) element(ctx context.Context, e *stanza.Element) error {
	size := int64(s.l.frames.read)
	switch {
	case e.Is(stanza.NSSM, "r"):
		s.asked()
		return nil
	case e.Is(stanza.NSSM, "a"):
		return s.acknowledged(e)
	case e.Is(stanza.NSClient, "iq"):
		s.iq(e)
		s.enqueue(ctx, item{counted: true})
	case e.Is(stanza.NSClient, "presence"):
		s.c.presenceFrom(e)
		s.enqueue(ctx, item{counted: true})
	case e.Is(stanza.NSClient, "message"):
		r, position, gap := s.message(e, s.c.cfg.Now())
		for _, d := range r.Drops {
			s.c.cfg.Metrics.Dropped(d)
		}
		s.enqueue(ctx, item{events: r.Events, counted: true, size: size, archive: position, gap: gap})
	}
	return nil
}

// message reads a message that arrived, or that the archive brings, and returns its
// id in our archive and whether there is a gap before it.
func (s *service) message(e *stanza.Element, now time.Time) (r stanza.Reading, position string, gap bool) {
	if e.Child(stanza.NSArchive, "result") != nil {
		r, position = s.archived(e, now)
		return r, position, false
	}
	s.c.mu.Lock()
	gap = !s.c.session.caughtUp
	s.c.mu.Unlock()
	r, position = s.c.reader.Message(e, s.span(now)), s.positionOf(e)
	r.Mark(position)
	return r, position, gap
}

// span is when a message that arrives now may have been taken by the server. In a
// session that is up none waited, but while its link was broken.
func (s *service) span(now time.Time) stanza.Span {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case !s.c.session.live:
		return stanza.Span{Now: now}
	case s.settled || s.c.session.left.IsZero():
		return stanza.Span{Since: now, Now: now}
	}
	return stanza.Span{Since: s.c.session.left.Add(-2 * s.c.cfg.Idle), Now: now} // silence may go unnoticed for as long
}

// acknowledged takes the server's count.
func (s *service) acknowledged(e *stanza.Element) error {
	h, ok := parseCount(e.Attr("h"))
	if !ok {
		return failed(ReasonProtocolError, errBadAck)
	}
	s.c.mu.Lock()
	_, err := s.c.session.ack(h)
	more := len(s.c.session.unacked) > 0
	s.c.mu.Unlock()
	if err != nil {
		return failed(ReasonProtocolError, err)
	}
	s.l.answered(more)
	s.settled = true
	return nil
}

// asked answers the server's request for our count: when what it sent is stored, which
// takes a moment, but at once when there is nothing to wait for.
func (s *service) asked() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.given == 0:
		s.tellCount()
	case s.owed == nil:
		s.owed = time.AfterFunc(s.c.cfg.ackWithin, s.ack)
	}
}

// ack tells the server our count of what is stored.
func (s *service) ack() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.tellCount()
}

// tellCount is ack where c.mu is held, so that counts reach the link in order.
func (s *service) tellCount() {
	if s.owed != nil {
		s.owed.Stop()
		s.owed = nil
	}
	s.lastAck = s.c.session.handled
	s.l.write(stanza.New(stanza.NSSM, "a", "h", formatCount(s.lastAck)).Bytes(), false)
}

// deliver calls the Handler, in order, until the link ends. An item that the
// Handler does not take ends the link: the server will send it again.
func (s *service) deliver(ctx context.Context, h carrier.Handler) {
	for {
		var err error
		select {
		case <-s.l.ended:
			return
		case it := <-s.queue:
			items := s.waiting(it)
			err = s.hand(ctx, h, items)
			if end := items[len(items)-1].end; err == nil && end != nil {
				s.endAfter(ctx, end)
				return
			}
		case <-s.whenToKeep():
			err = s.keepPosition(ctx)
		}
		if err != nil {
			s.c.cfg.Log.ErrorContext(ctx, "giving the link up: what arrived was not taken", "error", err)
			s.l.end(failed(ReasonNotStored, err))
			return
		}
	}
}

// waiting returns an item and those that wait behind it, at most maxGroup together, and
// none behind one that ends the link: nobody reads any more then, so it must be seen.
func (s *service) waiting(it item) []item {
	items := []item{it}
	for len(items) < maxGroup && items[len(items)-1].end == nil {
		select {
		case it := <-s.queue:
			items = append(items, it)
		default:
			return items
		}
	}
	return items
}

// hand gives items to the Handler and notes those that it took as handled.
func (s *service) hand(ctx context.Context, h carrier.Handler, items []item) error {
	var events []carrier.Event
	for _, it := range items {
		for _, ev := range it.events {
			s.c.noteEvent(ev)
			events = append(events, ev)
		}
	}
	var err error
	if len(events) > 0 {
		err = h.Receive(ctx, events)
	}
	return errors.Join(err, s.handled(ctx, covered(items, carrier.Taken(len(events), err))))
}

// covered returns the items whose events are all among the first of so many.
func covered(items []item, events int) []item {
	for i, it := range items {
		if events -= len(it.events); events < 0 {
			return items[:i]
		}
	}
	return items
}

// handled notes that the Handler took items.
func (s *service) handled(ctx context.Context, items []item) error {
	var counted uint32
	for _, it := range items {
		for _, ev := range it.events {
			s.c.delivered(ev)
		}
		s.reached(it)
		if it.size > 0 {
			s.room.Release(min(it.size, maxQueuedBytes))
		}
		if it.counted {
			counted++
		}
	}
	if err := s.keepPosition(ctx); err != nil {
		return err
	}
	s.count(counted)
	return nil
}

// count notes stanzas as handled and tells the server when it is waiting for it.
func (s *service) count(stanzas uint32) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.session.handled += stanzas
	s.given -= stanzas
	if s.c.session.handled-s.lastAck >= ackEvery || s.owed != nil && s.given == 0 {
		s.tellCount()
	}
}

// delivered notes how far the Handler came with a new session. What it has not taken
// when the link breaks is gone, as we asked for it ourselves: a link that goes on with
// the session has to do it again.
func (c *Carrier) delivered(ev carrier.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ev.(type) {
	case carrier.Connected:
		c.session.announced = true
	case carrier.OwnDeviceList:
		c.session.introduced = true
	case carrier.CaughtUp:
		c.session.caughtUp = true
	}
}

// noteEvent does what the carrier itself has to do about an event.
func (c *Carrier) noteEvent(ev carrier.Event) {
	switch ev := ev.(type) {
	case carrier.Message:
		c.befriend(ev.From)
	case carrier.Bounce:
		c.mu.Lock()
		c.session.cameBack(messageKey(ev.To, ev.ID))
		c.mu.Unlock()
	}
}
