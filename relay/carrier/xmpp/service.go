package xmpp

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// Bounds on what waits for the Handler.
const (
	maxQueued      = 1024
	maxQueuedBytes = 8 << 20
)

// item is what one stanza holds for the Handler, or what we have for it ourselves.
type item struct {
	events  []carrier.Event
	counted bool   // a stanza in the sense of XEP-0198
	archive string // its id in our archive; empty for none
	gap     bool   // when it arrived, the Handler had not received all that the archive has before it
	size    int64
	end     error // ends the link once the item is handled; nil for none
}

// service is the work on one link: a reader turns what arrives into items, and a receiver
// passes them to the Handler.
type service struct {
	c       *Carrier
	l       *stream.Link
	inbound *stream.Inbound
	queue   chan item
	room    *semaphore.Weighted // bytes of the queue

	settled  bool     // all that the server sends again for a resumed stream has come; used by the reader
	position position // used by the receiver
	held     held
}

func (c *Carrier) newService(l *stream.Link) *service {
	return &service{
		c: c, l: l,
		inbound:  c.stream.Inbound(l, c.cfg.reportWithin),
		queue:    make(chan item, maxQueued),
		room:     semaphore.NewWeighted(maxQueuedBytes),
		position: position{archive: c.cfg.Archive},
		held:     held{most: c.cfg.holdBack},
	}
}

// enqueue waits for room. False means that the link has ended, and with it ctx.
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
