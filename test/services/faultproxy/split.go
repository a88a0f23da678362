package faultproxy

import (
	"bufio"
	"bytes"
	"io"
)

// splitter splits a stream into its headers and the elements below them, byte for
// byte. It takes the stream for well-formed, without comments and CDATA sections,
// as XMPP's are.
type splitter struct {
	in    *bufio.Reader
	depth int
}

func newSplitter(r io.Reader) *splitter { return &splitter{in: bufio.NewReader(r)} }

// next returns what comes next of the stream: a header, an element, or the stream's end.
func (s *splitter) next() ([]byte, error) {
	var out []byte
	for {
		text, err := s.in.ReadBytes('<')
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
		tag, err := s.tag()
		if err != nil {
			return nil, err
		}
		out = append(out, tag...)
		if s.ends(tag) {
			return out, nil
		}
	}
}

// tag reads the rest of a tag; a greater-than sign within quotes does not end it.
func (s *splitter) tag() ([]byte, error) {
	var out []byte
	var quote byte
	for {
		b, err := s.in.ReadByte()
		if err != nil {
			return nil, err
		}
		out = append(out, b)
		switch {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '\'' || b == '"':
			quote = b
		case b == '>':
			return out, nil
		}
	}
}

// ends notes a tag and says whether a header or an element ends with it.
func (s *splitter) ends(tag []byte) bool {
	switch {
	case tag[0] == '?':
		return false // the XML declaration: the header follows
	case bytes.HasPrefix(tag, []byte("stream:stream")), bytes.HasPrefix(tag, []byte("/stream:stream")):
		return true
	case tag[0] == '/':
		s.depth--
	case !bytes.HasSuffix(tag, []byte("/>")):
		s.depth++
	}
	return s.depth == 0
}
