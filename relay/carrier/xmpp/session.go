package xmpp

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Bounds on how long the server is asked, and allowed, to remember a broken link.
const (
	resumeAsked = 10 * time.Minute
	// resumeWait is how long those who sent something wait for a link to come back
	// before they are told that it is unconfirmed.
	resumeWait = 30 * time.Second
)

var errNoManagement = &failure{ReasonNoStreamManagement, errors.New("server does not offer stream management")}

// session is what a broken link leaves behind for the next one. It is guarded by
// Carrier.mu.
type session struct {
	management
	id        string // for resumption; empty means that there is none
	questions map[string]*question
	timer     *time.Timer // for resumeWait, while there is no link

	announced  bool      // the Handler took Connected
	introduced bool      // our presence is sent and the Handler saw our device list
	caughtUp   bool      // the Handler took the archive up to this session
	live       bool      // all that waited for the session arrived
	left       time.Time // when its last link ended; zero before

	query  string // of the page of the archive that was asked for; empty for none
	wanted bool   // its messages go to the Handler
}

// discard forgets the session: whoever waits is told.
func (s *session) discard(err error) {
	s.id = ""
	s.announced, s.introduced, s.caughtUp, s.live, s.left = false, false, false, false, time.Time{}
	s.reset(err)
	s.dismiss()
}

// dismiss tells those who asked something that no answer will come.
func (s *session) dismiss() {
	for id, q := range s.questions {
		close(q.answer)
		delete(s.questions, id)
	}
}

// resume or bind makes the link carry a session: the previous one when the server
// remembers it, else a new one. Nobody else uses the link meanwhile.
func (c *Carrier) establish(l *link) (resumed bool, err error) {
	if !l.management {
		return false, errNoManagement
	}
	if resumed, err = c.resume(l); resumed || err != nil {
		return resumed, err
	}
	if err := c.bind(l); err != nil {
		return false, err
	}
	return false, c.enable(l)
}

// resume asks the server to go on with the previous session (XEP-0198, 5).
func (c *Carrier) resume(l *link) (bool, error) {
	c.mu.Lock()
	id, h := c.session.id, c.session.handled
	c.mu.Unlock()
	if id == "" {
		return false, nil
	}
	request := stanza.New(stanza.NSSM, "resume", "h", formatCount(h), "previd", id)
	if _, err := l.Write(request.Bytes()); err != nil {
		return false, err
	}
	answer, err := l.read()
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A server that restarted may still know how much it had taken.
	count, counted := parseCount(answer.Attr("h"))
	if counted {
		if _, err := c.session.ack(count); err != nil {
			c.session.discard(errUnconfirmed)
			return false, failed(ReasonProtocolError, err)
		}
	}
	switch {
	case answer.Is(stanza.NSSM, "resumed") && counted && answer.Attr("previd") == id:
		for _, s := range c.session.unacked {
			l.write(s.bytes, true)
		}
		return true, nil
	case answer.Is(stanza.NSSM, "failed"):
		c.session.discard(errUnconfirmed)
		return false, nil
	}
	c.session.discard(errUnconfirmed)
	return false, failed(ReasonProtocolError, errors.New("unexpected answer to resume"))
}

// bind binds our resource (RFC 6120, 7).
func (c *Carrier) bind(l *link) error {
	request := stanza.New(stanza.NSClient, "iq", "type", "set", "id", "bind").With(
		stanza.New(stanza.NSBind, "bind").With(stanza.New(stanza.NSBind, "resource").WithText(c.cfg.Resource)))
	if _, err := l.Write(request.Bytes()); err != nil {
		return err
	}
	for range 64 { // the server may say other things before it answers
		answer, err := l.read()
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
			return failed(ReasonProtocolError, errors.New("bound to no address"))
		}
		j, err := jid.Parse(bound.Text)
		if err != nil || j.Bare().String() != c.cfg.bare() {
			return failed(ReasonProtocolError, errors.New("bound to another's address"))
		}
		return nil
	}
	return failed(ReasonProtocolError, errors.New("no answer to bind"))
}

// enable starts stream management (XEP-0198, 3) and with it a new session.
func (c *Carrier) enable(l *link) error {
	request := stanza.New(stanza.NSSM, "enable", "resume", "true", "max", strconv.Itoa(int(resumeAsked.Seconds())))
	if _, err := l.Write(request.Bytes()); err != nil {
		return err
	}
	for range 64 { // stanzas before the answer are not counted, and none is for us yet
		answer, err := l.read()
		if err != nil {
			return err
		}
		switch {
		case answer.Is(stanza.NSSM, "enabled"):
			c.mu.Lock()
			defer c.mu.Unlock()
			c.session.discard(errUnconfirmed)
			if id := answer.Attr("id"); stanza.ParseBool(answer.Attr("resume")) && len(id) <= maxSessionID {
				c.session.id = id
			}
			return nil
		case answer.Is(stanza.NSSM, "failed"):
			return errNoManagement
		}
	}
	return failed(ReasonProtocolError, errors.New("no answer to enable"))
}

// maxSessionID bounds the id that a server gives a session (XEP-0198, 3).
const maxSessionID = 4000

func parseCount(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

func formatCount(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
