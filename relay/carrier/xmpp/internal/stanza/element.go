package stanza

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// Bounds on one element that is kept. The deepest element that we understand has 8 levels;
// the widest, a bundle with its pre-keys, has some hundred elements. Servers relay more.
const (
	maxDepth    = 32
	MaxElements = 4096
	maxAttrs    = 64
)

// Errors after which the stream can no longer be read.
var (
	ErrForbiddenXML = errors.New("xmpp: comment, processing instruction or document type in stream (RFC 6120, 11.1)")
	ErrTooLarge     = errors.New("xmpp: server sends too much at once")
)

// Element is one XML element, which was read whole or is about to be written.
type Element struct {
	Name     xml.Name
	Attrs    []xml.Attr // without namespace declarations
	Children []*Element
	Text     string // its own character data, without that of its children
	// Over is the bound that the element breaks; empty for a whole element. Of an element
	// that breaks one there is only the beginning, and its last children if they are small.
	Over Drop
}

// New makes an element. Attributes are pairs of name and value; pairs with an
// empty value are left out.
func New(space, local string, attrs ...string) *Element {
	e := &Element{Name: xml.Name{Space: space, Local: local}}
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			e.Attrs = append(e.Attrs, xml.Attr{Name: xml.Name{Local: attrs[i]}, Value: attrs[i+1]})
		}
	}
	return e
}

// With appends children and returns e.
func (e *Element) With(children ...*Element) *Element {
	e.Children = append(e.Children, children...)
	return e
}

// WithText sets the text and returns e.
func (e *Element) WithText(s string) *Element {
	e.Text = s
	return e
}

// Is says whether e has that name in that namespace.
func (e *Element) Is(space, local string) bool {
	return e.Name.Space == space && e.Name.Local == local
}

// Attr returns the value of an attribute without namespace, or "".
func (e *Element) Attr(local string) string {
	for _, a := range e.Attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// Child returns the first child of that name, or nil. A nil element has none, so
// that paths into an element can be written without checks.
func (e *Element) Child(space, local string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Is(space, local) {
			return c
		}
	}
	return nil
}

// opened is an element whose end has not been read yet. Its text is collected as bytes: with
// strings, a hostile stanza could make that quadratic.
type opened struct {
	*Element
	text []byte
}

// LongList reads the grandchildren of one answer one by one, so that a long list is never in
// memory as a whole.
type LongList struct {
	Elements, Bytes int            // bounds on the answer
	Each            func(*Element) // called for each grandchild
}

// ReadElement reads the rest of the element that start began.
func ReadElement(r xml.TokenReader, start xml.StartElement) (*Element, error) {
	root, err := FromStart(start)
	if err != nil {
		return nil, err
	}
	return root, ReadInto(r, root, nil)
}

// ReadInto reads the rest of an element whose beginning was read. Given a list, it passes the
// grandchildren to that instead of keeping them. Past a bound the error is an *Oversize.
func ReadInto(r xml.TokenReader, root *Element, list *LongList) error {
	t := tree{list: list, limit: MaxElements, count: 1, open: []opened{{Element: root}}}
	if list != nil {
		t.limit = list.Elements
	}
	for len(t.open) > 0 {
		tok, err := r.Token()
		if err != nil {
			return NotEOF(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if err := t.start(tok); err != nil {
				return err
			}
		case xml.EndElement:
			t.end()
		case xml.CharData:
			top := &t.open[len(t.open)-1]
			top.text = append(top.text, tok...)
		default:
			return ErrForbiddenXML
		}
	}
	return nil
}

// tree is an element that is being read, with the open elements inside it.
type tree struct {
	open  []opened
	list  *LongList // for the grandchildren; nil to keep them
	count int       // of elements
	limit int
}

// start begins a child of the innermost open element.
func (t *tree) start(begin xml.StartElement) error {
	if t.count++; t.count > t.limit {
		return &Oversize{DropManyElements}
	}
	if len(t.open) >= maxDepth {
		return &Oversize{DropTooDeep}
	}
	e, err := FromStart(begin)
	if err != nil {
		return err
	}
	if t.list == nil || len(t.open) != grandchildren {
		t.open[len(t.open)-1].With(e)
	}
	t.open = append(t.open, opened{Element: e})
	return nil
}

// end ends the innermost open element.
func (t *tree) end() {
	top := &t.open[len(t.open)-1]
	top.WithText(string(top.text))
	t.open = t.open[:len(t.open)-1]
	if t.list != nil && len(t.open) == grandchildren {
		t.list.Each(top.Element)
	}
}

// grandchildren is how many elements are open around a grandchild.
const grandchildren = 2

// NotEOF turns io.EOF, which inside an element is an error, into io.ErrUnexpectedEOF.
func NotEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// CutOff reports whether err means that the other side ended the connection. A decoder
// reports that as a syntax error, since the stream's own element is open.
func CutOff(err error) bool {
	syntax := (*xml.SyntaxError)(nil)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &syntax) && syntax.Msg == "unexpected EOF"
}

// FromStart returns the element that a start tag begins. When it has too many attributes,
// the error is an *Oversize.
func FromStart(start xml.StartElement) (*Element, error) {
	e := &Element{Name: start.Name}
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		e.Attrs = append(e.Attrs, a)
	}
	if len(start.Attr) > maxAttrs {
		return e, &Oversize{DropManyAttributes}
	}
	return e, nil
}

// appendTo writes e into a context whose default namespace is parent.
func (e *Element) appendTo(b *bytes.Buffer, parent string) {
	b.WriteByte('<')
	b.WriteString(e.Name.Local)
	if e.Name.Space != parent {
		writeAttr(b, "xmlns", e.Name.Space)
	}
	for _, a := range e.Attrs {
		if a.Name.Space == "" {
			writeAttr(b, a.Name.Local, a.Value)
		}
	}
	if e.Text == "" && len(e.Children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	escape(b, e.Text)
	for _, c := range e.Children {
		c.appendTo(b, e.Name.Space)
	}
	b.WriteString("</")
	b.WriteString(e.Name.Local)
	b.WriteByte('>')
}

// Bytes renders a top-level element of a client's stream.
func (e *Element) Bytes() []byte {
	var b bytes.Buffer
	e.appendTo(&b, NSClient)
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
