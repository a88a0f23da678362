package xmpp

import (
	"context"
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// serve runs until the link or ctx ends, and returns why. Once it has returned, the Handler
// is not called any more.
func (c *Carrier) serve(ctx context.Context, l *stream.Link, h carrier.Handler) error {
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	s, done := c.newService(l), c.reached()
	// The answer comes after all that the server sends again for a resumed stream.
	l.RequestAck()
	l.Long = c.questions.long
	s.queue <- item{events: []carrier.Event{carrier.Connected{Resumed: done.announced}}}
	var wg sync.WaitGroup
	wg.Go(l.RunWriter)
	wg.Go(func() { s.read(alive) })
	wg.Go(func() { s.receive(ctx, h) })
	// Presence before the archive: Prosody sends no offline messages to a client that asked
	// for the archive first, and a message that came in between would be in neither.
	if !done.introduced {
		_ = c.post(presence()) // an error means that the link has ended
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
	// Before we wait for the Handler, which may itself be waiting for an answer.
	c.detach()
	cancel()
	wg.Wait()
	return l.Err()
}

// detach leaves those who send or ask without a link.
func (c *Carrier) detach() {
	c.mu.Lock()
	c.progress.left = c.cfg.Now()
	c.mu.Unlock()
	c.stream.Detach()
	c.questions.dismiss()
}

// introduce does the last things that a new stream begins with, after presence: it asks which
// devices our account has, and publishes the business's name and picture.
func (s *service) introduce(ctx context.Context) {
	var lists []carrier.Event
	for _, f := range carrier.Formats() {
		devices, err := s.c.fetchDevices(ctx, "", f)
		if errors.Is(err, carrier.ErrNotFound) {
			devices, err = []carrier.DeviceID{}, nil
		}
		if err == nil {
			lists = append(lists, carrier.OwnDeviceList{Format: f, Devices: devices})
		}
	}
	if len(lists) > 0 {
		s.enqueue(ctx, item{events: lists})
	}
	// The server has seen our presence by now, so all that waited for it comes before the
	// answer to a second question.
	ping := &question{to: s.c.addr.Domain, then: s.c.wentLive}
	_, _ = s.c.questions.put(ctx, ping, "get", stanza.New(stanza.NSPing, "ping")) // an error is an answer, too
	s.c.publishProfile(ctx, s.c.cfg.Profile)
}

// wentLive notes that everything that waited for the stream has arrived.
func (c *Carrier) wentLive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.live = true
}
