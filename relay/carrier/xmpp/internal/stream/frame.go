package stream

import (
	"bytes"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// maxWire is how much of one stanza is read at most, in bytes, unless a Config says otherwise.
// A server that sends more will not end it: servers limit what their clients send to between
// 256 KiB and 10 MiB, and escaping makes that at most six times longer.
const maxWire = 64 << 20

// framer finds where stanzas begin and end in what a decoder reads. It gives the decoder a
// bounded number of bytes of each stanza and skips the rest without keeping it. A decoder
// cannot do that itself: it holds every tag and every text whole. The framer relies only on
// the server to send well-formed XML. It is an io.ByteReader.
type framer struct {
	w       *wire
	ceiling int // how many bytes of one stanza are read at most
	usual   int // how many bytes of one stanza the decoder gets, unless a LongList allows more

	limit  int // how many bytes of the present stanza the decoder gets
	size   int // bytes of the present stanza
	inside bool
	depth  int // how many elements are open
	at     place
	quote  byte   // the quote that ends an attribute's value
	last   byte   // the byte before, in a tag
	marked int    // how many bytes of a section's beginning or end were seen
	begun  []byte // the stanza's first bytes, with its name
}

// place is where in the XML text the next byte is.
type place int

const (
	inText  place = iota
	inMark        // after <
	inTag         // in a start tag
	inValue       // in an attribute's value
	inEnd         // in an end tag
	inSectionMark
	inSection // CDATA
)

const sectionMark = "[CDATA["

func newFramer(w *wire, usual, ceiling int) *framer {
	return &framer{w: w, ceiling: ceiling, usual: usual, limit: usual, begun: make([]byte, 0, 16)}
}

// ReadByte implements io.ByteReader. Past the stanza's limit its error is a *stanza.Oversize.
// The decoder is of no further use then, and pass skips the rest of the stanza.
func (f *framer) ReadByte() (byte, error) {
	for {
		b, err := f.step()
		if err != nil {
			return 0, err
		}
		if !f.inside && f.size == 0 {
			continue // white space between stanzas, which keeps the connection open
		}
		if f.inside && f.size > f.limit {
			return 0, &stanza.Oversize{Reason: stanza.DropTooLarge}
		}
		return b, nil
	}
}

// pass reads the present stanza to its end, and returns its last children.
func (f *framer) pass() (*ending, error) {
	end := &ending{}
	for f.inside {
		between := f.depth == 1 && f.at == inText
		b, err := f.step()
		if err != nil {
			return end, stanza.NotEOF(err)
		}
		if f.inside && f.size >= f.ceiling {
			return end, ErrEndless
		}
		end.add(b, between, f.depth == 1 && f.at == inText)
	}
	return end, nil
}

// step reads a byte and notes where the next one is.
func (f *framer) step() (byte, error) {
	b, err := f.w.ReadByte()
	if err != nil {
		return 0, err
	}
	if !f.inside {
		if err := f.between(b); err != nil || !f.inside {
			return b, err
		}
	}
	f.size++
	if len(f.begun) < cap(f.begun) {
		f.begun = append(f.begun, b)
	}
	return b, f.advance(b)
}

// name returns only the present stanza's name, for when its first tag is too large. Servers
// give stanzas no prefix.
func (f *framer) name() *stanza.Element {
	for _, name := range []string{"iq", "message", "presence"} {
		if rest, ok := bytes.CutPrefix(f.begun, []byte("<"+name)); ok && len(rest) > 0 && bytes.ContainsRune([]byte(" \t\r\n/>"), rune(rest[0])) {
			return stanza.New(stanza.NSClient, name)
		}
	}
	return stanza.New("", "unknown")
}

// between reads a byte between two stanzas.
func (f *framer) between(b byte) error {
	f.w.budget, f.size, f.depth, f.limit = f.ceiling, 0, 0, f.usual
	switch {
	case b == '<':
		f.inside, f.at, f.begun = true, inText, f.begun[:0]
	case !bytes.ContainsRune([]byte(" \t\r\n"), rune(b)):
		return stanza.ErrForbiddenXML
	}
	return nil
}

func (f *framer) advance(b byte) error {
	switch f.at {
	case inText:
		if b == '<' {
			f.at = inMark
		}
	case inMark:
		return f.mark(b)
	case inTag:
		f.tag(b)
	case inValue:
		if b == f.quote {
			f.at = inTag
		}
	case inEnd:
		if b == '>' {
			f.depth--
			f.closed()
		}
	case inSectionMark:
		if b != sectionMark[f.marked] {
			return stanza.ErrForbiddenXML
		}
		if f.marked++; f.marked == len(sectionMark) {
			f.at, f.marked = inSection, 0
		}
	case inSection:
		f.section(b)
	}
	return nil
}

// mark reads the byte after <, which says what it begins.
func (f *framer) mark(b byte) error {
	switch b {
	case '?':
		return stanza.ErrForbiddenXML
	case '!':
		f.at, f.marked = inSectionMark, 0
		if f.depth == 0 {
			return stanza.ErrForbiddenXML
		}
	case '/':
		f.at = inEnd
	default:
		f.at, f.last = inTag, b
	}
	return nil
}

func (f *framer) tag(b byte) {
	switch {
	case b == '"' || b == '\'':
		f.at, f.quote = inValue, b
	case b == '>' && f.last == '/':
		f.closed()
	case b == '>':
		f.depth++
		f.at = inText
	}
	f.last = b
}

func (f *framer) section(b byte) {
	switch {
	case b == ']':
		f.marked = min(f.marked+1, 2)
	case b == '>' && f.marked == 2:
		f.at = inText
	default:
		f.marked = 0
	}
}

// closed notes that an element ended. When no other is open, the stanza ended as well. The
// tag that closes the stream itself also counts as an end.
func (f *framer) closed() {
	f.at = inText
	f.inside = f.depth > 0
}
