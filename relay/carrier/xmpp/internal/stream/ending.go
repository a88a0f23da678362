package stream

import (
	"encoding/xml"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Bounds on what is kept of the end of a stanza.
const (
	maxEnding = 4    // children
	maxEnd    = 1024 // bytes of each
)

// ending is the last children of a stanza that is too large. At a stanza's end servers write
// when they received it, and its id in the archive.
type ending struct {
	last [][]byte
	open []byte // the child that is being read; nil for none
	long bool   // that child is too long to be kept
}

// add reads a byte of a stanza. Between says that this byte is between two children, and
// closed that the next byte is.
func (e *ending) add(b byte, between, closed bool) {
	if between && b == '<' {
		e.open, e.long = make([]byte, 0, 128), false
	}
	switch {
	case e.open == nil:
		return
	case len(e.open) == maxEnd:
		e.long = true
	default:
		e.open = append(e.open, b)
	}
	switch {
	case closed && e.long:
		e.last, e.open = nil, nil // what came before it is not the end
	case closed:
		e.last = append(e.last[max(0, len(e.last)+1-maxEnding):], e.open)
		e.open = nil
	}
}

// parseEnd reads a stanza's last children. It always returns at least one element: what was
// read of the stanza before must not pass for its end.
func parseEnd(e *ending) []*stanza.Element {
	var text strings.Builder
	for _, child := range e.last {
		text.Write(child)
	}
	dec := xml.NewDecoder(strings.NewReader("<end xmlns='" + stanza.NSClient + "'>" + text.String() + "</end>"))
	if tok, err := dec.Token(); err == nil {
		if start, ok := tok.(xml.StartElement); ok {
			if end, err := stanza.ReadElement(dec, start); err == nil && len(end.Children) > 0 {
				return end.Children
			}
		}
	}
	return []*stanza.Element{stanza.New("", "end")}
}
