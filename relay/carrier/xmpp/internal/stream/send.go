package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// MaxOutgoing is the largest stanza that is sent, in bytes: Prosody's default limit.
const MaxOutgoing = 256 << 10

// errTooLong says that a message is larger than servers accept.
var errTooLong = fmt.Errorf("xmpp: message is too large: %w", carrier.ErrRejected)

// Send sends stanzas, if there are any, and waits until the server has acknowledged the last.
// The key, unless it is empty, names a message. While that message is in flight, another Send
// for it joins the wait; if the server acknowledged it after its Send had given up, it is not
// sent again. Send returns carrier.ErrOffline when there is no link, carrier.ErrUnconfirmed
// when the link broke and was not resumed within half a minute, and carrier.ErrRejected for a
// stanza larger than MaxOutgoing.
func (s *Stream) Send(ctx context.Context, key string, stanzas ...[]byte) error {
	for _, b := range stanzas {
		if len(b) > MaxOutgoing {
			return errTooLong
		}
	}
	release, err := s.Reserve(ctx)
	if err != nil {
		return err
	}
	defer release()
	wait := make(chan error, 1)
	last, err := s.sendOrJoin(key, stanzas, wait)
	if last == nil {
		return err
	}
	select {
	case err := <-wait:
		return err
	case <-ctx.Done():
		s.mu.Lock()
		last.waiters = slices.DeleteFunc(last.waiters, func(w chan error) bool { return w == wait })
		s.mu.Unlock()
		return errors.Join(carrier.ErrUnconfirmed, ctx.Err())
	}
}

// sendOrJoin sends stanzas, or joins the wait when the one with that key is in flight already.
// It returns nil when there is nothing to wait for.
func (s *Stream) sendOrJoin(key string, stanzas [][]byte, wait chan error) (*sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != "" && s.counts.wasLate(key) {
		return nil, nil
	}
	if s.link == nil {
		return nil, carrier.ErrOffline
	}
	if key != "" {
		if underWay := s.counts.find(key); underWay != nil {
			underWay.waiters = append(underWay.waiters, wait)
			return underWay, nil
		}
	}
	var last *sent
	for _, b := range stanzas {
		last = &sent{bytes: b, key: key}
		if err := s.post(last); err != nil {
			return nil, err
		}
	}
	if last != nil {
		last.waiters = []chan error{wait}
	}
	return last, nil
}

// Post sends a stanza whose acknowledgement nobody waits for. It returns
// carrier.ErrOffline when there is no link.
func (s *Stream) Post(stanza []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.post(&sent{bytes: stanza})
}

// post writes a stanza to the link and keeps it until the server has acknowledged it. The
// caller holds s.mu.
func (s *Stream) post(stanza *sent) error {
	if s.link == nil || len(s.counts.unconfirmed) >= 4*maxUnconfirmed {
		return carrier.ErrOffline
	}
	s.counts.add(stanza)
	s.link.send(stanza.bytes, true)
	return nil
}

// Reserve waits until another stanza may be in flight, and holds a place for it until release
// is called.
func (s *Stream) Reserve(ctx context.Context) (release func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for earlier messages: %w", ctx.Err())
	}
}

// Confirm notes the count up to which the server has acknowledged what we sent. Any error is
// a Failure after which the link must end.
func (s *Stream) Confirm(l *Link, count string) error {
	h, ok := parseCount(count)
	if !ok {
		return Failed(ReasonProtocolError, errBadCount)
	}
	s.mu.Lock()
	_, err := s.counts.confirm(h)
	more := len(s.counts.unconfirmed) > 0
	s.mu.Unlock()
	if err != nil {
		return Failed(ReasonProtocolError, err)
	}
	l.confirmed(more)
	return nil
}

// CameBack forgets that the message of that key was sent, acknowledged or not, so that
// another Send really sends it again.
func (s *Stream) CameBack(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.cameBack(key)
}

// Waiting is how many calls of Send wait for the message of that key.
func (s *Stream) Waiting(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if underWay := s.counts.find(key); underWay != nil {
		return len(underWay.waiters)
	}
	return 0
}
