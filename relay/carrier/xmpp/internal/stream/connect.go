package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

const (
	// resumeAsked is how long we ask the server to remember a broken link.
	resumeAsked = 10 * time.Minute
	// maxStreamID bounds the id that a server gives a stream, in bytes (XEP-0198, 3).
	maxStreamID = 4000
	// maxBefore is how many other elements the server may send before it answers.
	maxBefore = 64
	// proofPart is the part of Config.Idle within which a server must acknowledge something on a link that
	// resumed a stream.
	proofPart = 4
)

// Connect logs in and makes a link that carries the stream: the previous stream when the
// server remembers it, else a new one. Nothing is sent on the link before Attach. Connect
// fails when ctx ends. When it fails, no connection is left.
func (s *Stream) Connect(ctx context.Context, c Config) (l *Link, resumed bool, err error) {
	l, err = open(ctx, c)
	if err != nil {
		return nil, false, err
	}
	if resumed, err = s.carried(ctx, l); err != nil {
		return nil, false, Failed(networkReason(err), err)
	}
	return l, resumed, nil
}

// carried has a link carry the stream, and says whether it resumed it. It ends the link if it fails, as it does when ctx ends.
func (s *Stream) carried(ctx context.Context, l *Link) (resumed bool, err error) {
	stop := context.AfterFunc(ctx, func() { l.End(ErrStopped) }) // which may be after the return
	resumed, err = s.establish(l)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.End(ErrStopped)
		return false, err
	}
	if resumed {
		s.prove(l)
	}
	return resumed, nil
}

// prove ends a link that resumed the stream unless the server acknowledges something on it soon, and has the next link
// begin a new stream. The caller asks for that acknowledgement once the link is attached. Prosody 0.12 was seen to
// resume a stream and then to read all that came on the link without doing anything with it.
func (s *Stream) prove(l *Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proof = time.AfterFunc(l.cfg.Idle/proofPart, func() {
		s.mu.Lock()
		if s.link == l {
			s.id = ""
		}
		s.mu.Unlock()
		l.End(errNotTaken)
	})
}

func (s *Stream) establish(l *Link) (resumed bool, err error) {
	if !l.management {
		return false, errNoManagement
	}
	if resumed, err = s.resume(l); resumed || err != nil {
		return resumed, err
	}
	if err := l.bind(); err != nil {
		return false, err
	}
	return false, s.enable(l)
}

// resume asks the server to resume the previous stream (XEP-0198, 5).
func (s *Stream) resume(l *Link) (bool, error) {
	s.mu.Lock()
	id, h := s.id, s.counts.handled
	s.mu.Unlock()
	if id == "" {
		return false, nil
	}
	if err := l.sendNow(stanza.New(stanza.NSSM, "resume", "h", formatCount(h), "previd", id)); err != nil {
		return false, err
	}
	answer, err := l.next()
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A server that restarted may still know how much it had received from us.
	count, counted := parseCount(answer.Attr("h"))
	if counted {
		if _, err := s.counts.confirm(count); err != nil {
			s.discard()
			return false, Failed(ReasonProtocolError, err)
		}
	}
	switch {
	case answer.Is(stanza.NSSM, "resumed") && counted && answer.Attr("previd") == id:
		for _, unconfirmed := range s.counts.unconfirmed {
			l.send(unconfirmed.bytes, true)
		}
		return true, nil
	case answer.Is(stanza.NSSM, "failed"):
		s.discard()
		return false, nil
	}
	s.discard()
	return false, Failed(ReasonProtocolError, errors.New("unexpected answer to resume"))
}

// bind binds our resource (RFC 6120, 7).
func (l *Link) bind() error {
	request := stanza.New(stanza.NSClient, "iq", "type", "set", "id", "bind").With(
		stanza.New(stanza.NSBind, "bind").With(stanza.New(stanza.NSBind, "resource").WithText(l.cfg.Resource)))
	if err := l.sendNow(request); err != nil {
		return err
	}
	for range maxBefore {
		answer, err := l.next()
		if err != nil {
			return err
		}
		if !answer.Is(stanza.NSClient, "iq") || answer.Attr("id") != "bind" {
			continue
		}
		if answer.Attr("type") != "result" {
			return fmt.Errorf("binding a resource: %w", stanza.ParseError(answer))
		}
		bound := answer.Child(stanza.NSBind, "bind").Child(stanza.NSBind, "jid")
		if bound == nil {
			return Failed(ReasonProtocolError, errors.New("bound to no address"))
		}
		j, err := jid.Parse(bound.Text)
		if err != nil || j.Bare().String() != l.cfg.bare() {
			return Failed(ReasonProtocolError, errors.New("bound to another's address"))
		}
		return nil
	}
	return Failed(ReasonProtocolError, errors.New("no answer to bind"))
}

// enable starts stream management (XEP-0198, 3) and with it a new stream.
func (s *Stream) enable(l *Link) error {
	request := stanza.New(stanza.NSSM, "enable", "resume", "true", "max", strconv.Itoa(int(resumeAsked.Seconds())))
	if err := l.sendNow(request); err != nil {
		return err
	}
	for range maxBefore { // stanzas before the answer are not counted, and none is for us yet
		answer, err := l.next()
		if err != nil {
			return err
		}
		switch {
		case answer.Is(stanza.NSSM, "enabled"):
			id := answer.Attr("id")
			if !stanza.ParseBool(answer.Attr("resume")) || len(id) > maxStreamID {
				id = ""
			}
			s.Begin(id)
			return nil
		case answer.Is(stanza.NSSM, "failed"):
			return errNoManagement
		}
	}
	return Failed(ReasonProtocolError, errors.New("no answer to enable"))
}
