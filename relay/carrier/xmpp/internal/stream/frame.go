package stream

import (
	"bytes"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// maxWire is the most that is read of one stanza unless a Config says otherwise, in bytes. A server that sends more does not
// end it: servers limit what their clients send to between 256 KiB and 10 MiB, and
// escaping makes that six times longer at most.
const maxWire = 64 << 20

// framer finds where stanzas begin and end in what a decoder reads. It lets a decoder
// have a bounded number of bytes of each, and passes over the rest without keeping it,
// which a decoder cannot do: that one holds every tag and every text whole. It relies
// on the server to send well-formed XML, and on nothing else. It is an io.ByteReader.
type framer struct {
	w       *wire
	ceiling int // bytes of one stanza that are read at most
	usual   int // bytes of one stanza that the decoder gets, unless somebody asked for more

	limit  int // the same of the present one
	size   int // bytes of the present stanza
	inside bool
	depth  int // elements that are open
	at     place
	quote  byte   // that ends an attribute's value
	last   byte   // the byte before, in a tag
	marked int    // bytes of a section's beginning or end that were seen
	begun  []byte // the first bytes, with the name
}

// place is where in the text of XML the next byte stands.
type place int

const (
	inText  place = iota
	inMark        // after <
	inTag         // of a beginning
	inValue       // of an attribute
	inEnd         // in a tag of an end
	inSectionMark
	inSection // CDATA
)

const sectionMark = "[CDATA["

func newFramer(w *wire, usual, ceiling int) *framer {
	return &framer{w: w, ceiling: ceiling, usual: usual, limit: usual, begun: make([]byte, 0, 16)}
}

// ReadByte implements io.ByteReader. Its error is an *oversize past the stanza's limit:
// then the decoder is of no further use, and pass leads behind the stanza.
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

// pass reads the present stanza to its end, and returns what stands there.
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

// step reads a byte and notes where the next one stands.
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

// name returns the present stanza's name alone, when its first tag is too large. Servers
// give stanzas no prefix.
func (f *framer) name() *stanza.Element {
	for _, name := range []string{"iq", "message", "presence"} {
		if rest, ok := bytes.CutPrefix(f.begun, []byte("<"+name)); ok && len(rest) > 0 && bytes.ContainsRune([]byte(" \t\r\n/>"), rune(rest[0])) {
			return stanza.New(stanza.NSClient, name)
		}
	}
	return stanza.New("", "unknown")
}

// between reads a byte that stands between two stanzas.
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

// closed notes that an element ended; without an open one, so did the stanza. The tag
// that ends the stream itself ends what is read, too.
func (f *framer) closed() {
	f.at = inText
	f.inside = f.depth > 0
}
