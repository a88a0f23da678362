package xmpp

import (
	"context"
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// serve works until the link or ctx ends and returns why. When it returns, the
// Handler is not called any more.
func (c *Carrier) serve(ctx context.Context, l *stream.Link, h carrier.Handler) error {
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	s, done := c.newService(l), c.reached()
	// Its answer stands behind what the server sends again for a resumed session.
	l.RequestAck()
	l.Long = c.questions.long
	s.queue <- item{events: []carrier.Event{carrier.Connected{Resumed: done.announced}}}
	var wg sync.WaitGroup
	wg.Go(l.RunWriter)
	wg.Go(func() { s.read(alive) })
	wg.Go(func() { s.receive(ctx, h) })
	// Presence before the archive: a server sends no offline messages to who asked for
	// the archive first (Prosody), and what came in between would be in neither.
	if !done.introduced {
		_ = c.post(presence()) // an error is the link's end
		wg.Go(func() { s.introduce(alive) })
	}
	if !done.caughtUp && c.cfg.Archive != nil {
		wg.Go(func() { s.catchUp(alive) })
	}
	select {
	case <-l.Ended():
	case <-ctx.Done():
		s.inbound.Report()
		l.Close()
	}
	// Before waiting for the Handler: it may itself be waiting for an answer.
	c.detach()
	cancel()
	wg.Wait()
	return l.Err()
}

// detach takes the link away from who sends or asks.
func (c *Carrier) detach() {
	c.mu.Lock()
	c.progress.left = c.cfg.Now()
	c.mu.Unlock()
	c.session.Detach()
	c.questions.dismiss()
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
	ping := &question{to: s.c.addr.Domain, then: s.c.wentLive}
	_, _ = s.c.questions.put(ctx, ping, "get", stanza.New(stanza.NSPing, "ping")) // an error answers it, too
}

// wentLive notes that all that waited for the session arrived.
func (c *Carrier) wentLive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.live = true
}
