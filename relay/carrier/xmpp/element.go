package xmpp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// Bounds on one element that is kept. The deepest that we understand has 8 levels,
// the widest, a bundle with its pre-keys, some hundred elements. Servers relay more.
const (
	maxDepth    = 32
	maxElements = 4096
	maxAttrs    = 64
)

// Errors that mean that the stream is of no further use.
var (
	errForbiddenXML = errors.New("xmpp: comment, processing instruction or document type in stream (RFC 6120, 11.1)")
	errTooLarge     = errors.New("xmpp: server sends too much at once")
)

// element is one XML element, read whole or about to be written.
type element struct {
	name     xml.Name
	attrs    []xml.Attr // without namespace declarations
	children []*element
	text     string // its own character data, without that of its children
	// over is the bound that the element breaks, of which there is the beginning alone
	// then, and what stands at its end if that is small; empty for a whole one.
	over Drop
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

// taker takes the grandchildren of one answer, so that a long list is never in memory
// whole.
type taker struct {
	elements, bytes int // bounds on the answer
	take            func(*element)
}

// readElement reads the rest of the element that start began.
func readElement(r xml.TokenReader, start xml.StartElement) (*element, error) {
	root, err := fromStart(start)
	if err != nil {
		return nil, err
	}
	return root, readInto(r, root, nil)
}

// readInto reads the rest of an element whose beginning was read. Given a taker, it
// leaves the grandchildren to it. The error is an *oversize past a bound.
func readInto(r xml.TokenReader, root *element, list *taker) error {
	limit := maxElements
	if list != nil {
		limit = list.elements
	}
	open := []opened{{element: root}}
	for count := 1; len(open) > 0; {
		tok, err := r.Token()
		if err != nil {
			return notEOF(err)
		}
		top := &open[len(open)-1]
		switch t := tok.(type) {
		case xml.StartElement:
			if count++; count > limit {
				return &oversize{DropManyElements}
			}
			if len(open) >= maxDepth {
				return &oversize{DropTooDeep}
			}
			e, err := fromStart(t)
			if err != nil {
				return err
			}
			if list == nil || len(open) != grandchildren {
				top.with(e)
			}
			open = append(open, opened{element: e})
		case xml.EndElement:
			top.withText(string(top.text))
			open = open[:len(open)-1]
			if list != nil && len(open) == grandchildren {
				list.take(top.element)
			}
		case xml.CharData:
			top.text = append(top.text, t...)
		default:
			return errForbiddenXML
		}
	}
	return nil
}

// grandchildren is how many elements are open around a grandchild.
const grandchildren = 2

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
	e := &element{name: start.Name}
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		e.attrs = append(e.attrs, a)
	}
	if len(start.Attr) > maxAttrs {
		return e, &oversize{DropManyAttributes}
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
