package xmpp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// maxBuffered is how much may wait to be written to one link. More than that is a
// server that reads too slowly while it makes us answer.
const maxBuffered = 8 << 20

var (
	errStalled      = errors.New("xmpp: server does not read what it asks for")
	errStreamClosed = errors.New("xmpp: server closed the stream")
)

// streamError is what a server says before it closes a stream (RFC 6120, 4.9).
type streamError struct{ condition string }

func (e *streamError) Error() string { return "xmpp: server ended the stream: " + e.condition }

// link is one connection, from login to its end. Its reader is one goroutine, its
// writer another; anyone may append what is to be written.
type link struct {
	*stream
	dec    *xml.Decoder
	frames *framer
	// wanted says whether somebody waits for a long answer, and how it is read.
	wanted func(answer *stanza.Element) *stanza.Taker
	idle   time.Duration

	writing sync.Mutex // held while bytes are taken and written, so that they keep their order

	mu      sync.Mutex
	out     bytes.Buffer // guarded by mu: what the writer takes next
	ask     bool         // guarded by mu: stanzas were written that no request for an acknowledgement followed
	asked   bool         // guarded by mu: such a request has not been answered
	closing bool         // guarded by mu: nothing more is to be written

	kick  chan struct{} // room for one: there is something to write
	ended chan struct{} // closed by end
	once  sync.Once
	err   error // why, once ended is closed
}

func newLink(s *stream, maxStanza int, idle time.Duration) *link {
	l := &link{
		stream: s,
		frames: newFramer(s.wire, maxStanza),
		wanted: func(*stanza.Element) *stanza.Taker { return nil },
		idle:   idle,
		kick:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
	l.decode()
	return l
}

// decode begins to decode where the wire stands: before the next stanza.
func (l *link) decode() { l.dec = xml.NewDecoder(&primed{header: streamHeader, r: l.frames}) }

// end gives the link up, for the first reason given.
func (l *link) end(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.ended)
		_ = l.Close()
	})
}

// read returns the next element of the stream: of one that breaks a bound what
// is known of it, and with that errEndless when there is no reaching its end. Any error means the link's end.
func (l *link) read() (*stanza.Element, error) {
	for {
		tok, err := l.dec.Token()
		if over := (*stanza.Oversize)(nil); errors.As(err, &over) {
			return l.pass(l.frames.name(), over)
		}
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if t.Name.Space == stanza.NSStream && t.Name.Local == "stream" {
				continue // our own header, with which the decoder begins
			}
			e, err := l.element(t)
			if over := (*stanza.Oversize)(nil); errors.As(err, &over) {
				return l.pass(e, over)
			}
			if err != nil {
				return nil, err
			}
			if e.Is(stanza.NSStream, "error") {
				return nil, parseStreamError(e)
			}
			return e, nil
		case xml.EndElement:
			return nil, errStreamClosed
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, stanza.ErrForbiddenXML
			}
		default:
			return nil, stanza.ErrForbiddenXML
		}
	}
}

// element reads the element that start began.
func (l *link) element(start xml.StartElement) (*stanza.Element, error) {
	answer, err := stanza.FromStart(start)
	if err != nil {
		return answer, err
	}
	list := l.wanted(answer)
	if list != nil {
		l.frames.limit = list.Bytes
	}
	if err := stanza.ReadInto(l.dec, answer, list); err != nil {
		return answer, err
	}
	return answer, nil
}

// pass reads to the end of an element that breaks a bound, and returns what is known of
// it.
func (l *link) pass(e *stanza.Element, over *stanza.Oversize) (*stanza.Element, error) {
	e.Over = over.Reason
	l.decode()
	end, err := l.frames.pass()
	return e.With(parseEnd(end)...), err
}

// parseStreamError keeps the condition when it is one that we act on.
func parseStreamError(e *stanza.Element) error {
	for _, known := range []string{"conflict", "not-authorized", "policy-violation", "reset", "system-shutdown"} {
		if e.Child(stanza.NSStreams, known) != nil {
			return &streamError{known}
		}
	}
	return &streamError{"other"}
}

// write has the writer send e. A stanza is followed by a request to acknowledge it.
func (l *link) write(e []byte, stanza bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	if l.out.Len() > maxBuffered {
		go l.end(errStalled)
		return
	}
	l.out.Write(e)
	l.ask = l.ask || stanza
	l.poke()
}

func (l *link) poke() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// answered notes that the server acknowledged; more says that it has not
// acknowledged everything, so that it is to be asked again.
func (l *link) answered(more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = false
	l.ask = l.ask || more
	if l.ask {
		l.poke()
	}
}

// ackRequest asks the server for its count (XEP-0198, 4).
func ackRequest() []byte { return []byte("<r xmlns='" + stanza.NSSM + "'/>") }

// take returns what is to be written now. However many stanzas there are, at most
// one request for an acknowledgement is under way.
func (l *link) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ask && !l.asked {
		l.out.Write(ackRequest())
		l.ask, l.asked = false, true
	}
	b := bytes.Clone(l.out.Bytes())
	l.out.Reset()
	return b
}

// writer writes until the link ends. When there was nothing to write for a while
// it asks for a sign of life; the reader's deadline ends a link that gives none.
func (l *link) writer() {
	idle := time.NewTimer(l.idle)
	defer idle.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-idle.C:
			l.write(ackRequest(), false)
		case <-l.kick:
			runtime.Gosched() // what is about to be written goes along, in one packet
		}
		idle.Reset(l.idle)
		if err := l.flush(); err != nil {
			l.end(fmt.Errorf("writing: %w", err))
			return
		}
	}
}

// flush writes what there is to write.
func (l *link) flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	b := l.take()
	if len(b) == 0 {
		return nil
	}
	_, err := l.Write(b)
	return err
}

// closeStream writes what is left, says good-bye and ends the link. An orderly end
// makes the server keep at once, for later, what it holds unacknowledged.
func (l *link) closeStream() {
	l.write([]byte("</stream:stream>"), false)
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	// A write that hangs is not waited for.
	_ = l.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	_ = l.flush()
	l.end(errStopped)
}

// goodbyeTimeout bounds a write that is under way when the link is stopped.
const goodbyeTimeout = 2 * time.Second

var errStopped = failed(ReasonStopped, io.ErrClosedPipe)
