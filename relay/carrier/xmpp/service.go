package xmpp

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// Bounds on what was read and waits for the Handler.
const (
	maxQueued      = 1024
	maxQueuedBytes = 8 << 20
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

// service is the work on one link: a reader turns what arrives into items, and a receiver
// gives them to the Handler.
type service struct {
	c       *Carrier
	l       *stream.Link
	inbound *stream.Inbound
	queue   chan item
	room    *semaphore.Weighted // bytes of the queue

	settled  bool     // what the server sent again for a resumed session is here; the reader's
	position position // the receiver's
}

func (c *Carrier) newService(l *stream.Link) *service {
	return &service{
		c: c, l: l,
		inbound:  c.session.Inbound(l, c.cfg.ackWithin),
		queue:    make(chan item, maxQueued),
		room:     semaphore.NewWeighted(maxQueuedBytes),
		position: position{archive: c.cfg.Archive},
	}
}

// enqueue waits for room; false means that the link, and with it ctx, ended.
func (s *service) enqueue(ctx context.Context, it item) bool {
	if it.counted {
		s.inbound.Received()
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
