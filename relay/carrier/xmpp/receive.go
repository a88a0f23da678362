package xmpp

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// maxGroup is how many waiting items one call of the Handler gets at most.
const maxGroup = 64

// receive calls the Handler, in order, until the link ends. When the Handler fails to receive
// an item, the link ends, and the server will send the item again.
func (s *service) receive(ctx context.Context, h carrier.Handler) {
	for {
		var err error
		select {
		case <-s.l.Ended():
			return
		case it := <-s.queue:
			items := s.waiting(it)
			err = s.receiveGroup(ctx, h, items)
			if end := items[len(items)-1].end; err == nil && end != nil {
				s.endAfter(ctx, end)
				return
			}
		case <-s.position.whenToKeep():
			err = s.position.keep(ctx)
		}
		if err != nil {
			s.c.cfg.Log.ErrorContext(ctx, "closing the carrier connection: could not store an incoming message", "error", err)
			s.l.End(stream.Failed(ReasonNotStored, err))
			return
		}
	}
}

// waiting returns an item and those that wait behind it, at most maxGroup together, but none
// behind an item that ends the link: nothing is read after that one, so it must be the last.
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

// receiveGroup passes items to the Handler, and marks those that it received as handled.
func (s *service) receiveGroup(ctx context.Context, h carrier.Handler, items []item) error {
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
	return errors.Join(err, s.handled(ctx, covered(items, carrier.Received(len(events), err))))
}

// covered returns the items whose events are all among the first so many events.
func covered(items []item, events int) []item {
	for i, it := range items {
		if events -= len(it.events); events < 0 {
			return items[:i]
		}
	}
	return items
}

// handled notes that the Handler received items.
func (s *service) handled(ctx context.Context, items []item) error {
	var counted uint32
	for _, it := range items {
		for _, ev := range it.events {
			s.c.received(ev)
		}
		if !it.gap {
			s.position.reached(it.archive)
		}
		if it.size > 0 {
			s.room.Release(min(it.size, maxQueuedBytes))
		}
		if it.counted {
			counted++
		}
	}
	if err := s.position.keep(ctx); err != nil {
		return err
	}
	s.inbound.Handled(counted)
	return nil
}

// endAfter ends the link. Before that it reports to the server that the stanza which ends the
// link is handled, and stores the position behind it in the archive, so that it does not come
// again.
func (s *service) endAfter(ctx context.Context, end error) {
	if err := s.position.keepNow(ctx); err != nil {
		end = stream.Failed(ReasonNotStored, err)
	}
	s.inbound.Report()
	_ = s.l.Flush() // when it fails, the next link says so
	s.l.End(end)
}

// received notes how far the Handler got with a new stream.
func (c *Carrier) received(ev carrier.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ev.(type) {
	case carrier.Connected:
		c.progress.announced = true
	case carrier.OwnDeviceList:
		c.progress.introduced = true
	case carrier.CaughtUp:
		c.progress.caughtUp = true
	}
}

// noteEvent does what this package itself has to do about an event.
func (c *Carrier) noteEvent(ev carrier.Event) {
	if b, ok := ev.(carrier.Bounce); ok {
		c.stream.CameBack(messageKey(b.To, b.ID))
	}
}
