package xmpp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// Bounds on one element off the wire. The deepest that we understand has 8 levels,
// the widest, a bundle with its pre-keys, some hundred elements.
const (
	maxDepth    = 32
	maxElements = 4096
	maxAttrs    = 64
)

// Errors of readElement. All of them mean that the stream is of no further use.
var (
	errForbiddenXML = errors.New("xmpp: comment, processing instruction or document type in stream (RFC 6120, 11.1)")
	errTooDeep      = errors.New("xmpp: stanza is nested too deeply")
	errTooWide      = errors.New("xmpp: stanza has too many elements or attributes")
	errTooLarge     = errors.New("xmpp: stanza is too large")
)

// element is one XML element, read whole or about to be written.
type element struct {
	name     xml.Name
	attrs    []xml.Attr // without namespace declarations
	children []*element
	text     string // its own character data, without that of its children
}

// elem makes an element. Attributes are pairs of name and value; pairs with an
// empty value are left out.
func elem(space, local string, attrs ...string) *element {
	e := &element{name: xml.Name{Space: space, Local: local}}
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			e.attrs = append(e.attrs, xml.Attr{Name: xml.Name{Local: attrs[i]}, Value: attrs[i+1]})
		}
	}
	return e
}

// with appends children and returns e.
func (e *element) with(children ...*element) *element {
	e.children = append(e.children, children...)
	return e
}

// withText sets the text and returns e.
func (e *element) withText(s string) *element {
	e.text = s
	return e
}

func (e *element) is(space, local string) bool {
	return e.name.Space == space && e.name.Local == local
}

// attr returns the value of an attribute without namespace, or "".
func (e *element) attr(local string) string {
	for _, a := range e.attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// child returns the first child of that name, or nil. A nil element has none, so
// that paths into an element can be written without checks.
func (e *element) child(space, local string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.is(space, local) {
			return c
		}
	}
	return nil
}

// opened is an element whose end was not read yet. Its text is gathered in bytes:
// a hostile stanza could make adding strings quadratic.
type opened struct {
	*element
	text []byte
}

// readElement reads the rest of the element that start began, which may hold
// maxText bytes of text in all.
func readElement(r xml.TokenReader, start xml.StartElement, maxText int) (*element, error) {
	root, err := fromStart(start)
	if err != nil {
		return nil, err
	}
	open := []opened{{element: root}}
	for count := 1; len(open) > 0; {
		tok, err := r.Token()
		if err != nil {
			return nil, notEOF(err)
		}
		top := &open[len(open)-1]
		switch t := tok.(type) {
		case xml.StartElement:
			if count++; count > maxElements {
				return nil, errTooWide
			}
			if len(open) >= maxDepth {
				return nil, errTooDeep
			}
			e, err := fromStart(t)
			if err != nil {
				return nil, err
			}
			top.with(e)
			open = append(open, opened{element: e})
		case xml.EndElement:
			top.withText(string(top.text))
			open = open[:len(open)-1]
		case xml.CharData:
			if maxText -= len(t); maxText < 0 {
				return nil, errTooLarge
			}
			top.text = append(top.text, t...)
		default:
			return nil, errForbiddenXML
		}
	}
	return root, nil
}

// notEOF makes an end within an element the error that it is.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cutOff reports whether err says that the other side ended the connection. To a
// decoder that is a syntax error, since the stream's own element is open.
func cutOff(err error) bool {
	syntax := (*xml.SyntaxError)(nil)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &syntax) && syntax.Msg == "unexpected EOF"
}

func fromStart(start xml.StartElement) (*element, error) {
	if len(start.Attr) > maxAttrs {
		return nil, errTooWide
	}
	e := &element{name: start.Name}
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		e.attrs = append(e.attrs, a)
	}
	return e, nil
}

// appendTo writes e where the default namespace is parent.
func (e *element) appendTo(b *bytes.Buffer, parent string) {
	b.WriteByte('<')
	b.WriteString(e.name.Local)
	if e.name.Space != parent {
		writeAttr(b, "xmlns", e.name.Space)
	}
	for _, a := range e.attrs {
		if a.Name.Space == "" {
			writeAttr(b, a.Name.Local, a.Value)
		}
	}
	if e.text == "" && len(e.children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	escape(b, e.text)
	for _, c := range e.children {
		c.appendTo(b, e.name.Space)
	}
	b.WriteString("</")
	b.WriteString(e.name.Local)
	b.WriteByte('>')
}

// bytes renders a top-level element of a client's stream.
func (e *element) bytes() []byte {
	var b bytes.Buffer
	e.appendTo(&b, nsClient)
	return b.Bytes()
}

func writeAttr(b *bytes.Buffer, name, value string) {
	b.WriteByte(' ')
	b.WriteString(name)
	b.WriteString("='")
	escape(b, value)
	b.WriteByte('\'')
}

// escape writes text so that it is safe in content and attributes; characters that
// XML cannot hold become U+FFFD.
func escape(b *bytes.Buffer, s string) {
	_ = xml.EscapeText(b, []byte(s)) // a bytes.Buffer does not fail
}
