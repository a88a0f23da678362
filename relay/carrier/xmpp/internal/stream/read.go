package stream

import (
	"bytes"
	"encoding/xml"
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Next returns the next element of the stream. Of an element that breaks a bound it returns
// what is known, together with ErrEndless when its end is out of reach. Any error is a
// Failure after which the link must end.
func (l *Link) Next() (*stanza.Element, error) {
	e, err := l.next()
	if err != nil {
		err = readFailure(err)
	}
	return e, err
}

// Size is how many bytes the last element that Next returned had on the wire.
func (l *Link) Size() int64 { return int64(l.frames.size) }

// next is Next with the bare error.
func (l *Link) next() (*stanza.Element, error) {
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
			return l.begun(t)
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

// begun reads the element that start began.
func (l *Link) begun(start xml.StartElement) (*stanza.Element, error) {
	e, err := l.element(start)
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
}

func (l *Link) element(start xml.StartElement) (*stanza.Element, error) {
	e, err := stanza.FromStart(start)
	if err != nil {
		return e, err
	}
	list := l.Long(e)
	if list != nil {
		l.frames.limit = list.Bytes
	}
	return e, stanza.ReadInto(l.dec, e, list)
}

// pass reads to the end of an element that breaks a bound, and returns what is known of it.
func (l *Link) pass(e *stanza.Element, over *stanza.Oversize) (*stanza.Element, error) {
	e.Over = over.Reason
	l.decode()
	end, err := l.frames.pass()
	return e.With(parseEnd(end)...), err
}

// parseStreamError keeps the condition if it is one that we know.
func parseStreamError(e *stanza.Element) error {
	for _, known := range []string{"conflict", "not-authorized", "policy-violation", "reset", "system-shutdown"} {
		if e.Child(stanza.NSStreams, known) != nil {
			return &streamError{known}
		}
	}
	return &streamError{"other"}
}
