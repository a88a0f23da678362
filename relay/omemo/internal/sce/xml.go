package sce

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"iter"

	"github.com/relaykeep/relaykeep/relay/carrier/about"
)

// element is one XML element.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*element
	text     []byte // its own character data
}

// Is says whether e has that name in that namespace (about.Element).
func (e *element) Is(space, local string) bool {
	return e.name.Space == space && e.name.Local == local
}

// Words is e's own character data (about.Element).
func (e *element) Words() string { return string(e.text) }

// Elements are e's children (about.Element).
func (e *element) Elements() iter.Seq[about.Element] {
	return func(yield func(about.Element) bool) {
		for _, c := range e.children {
			if !yield(c) {
				return
			}
		}
	}
}

// Attr returns the value of an attribute without namespace, or "" (about.Element).
func (e *element) Attr(local string) string {
	for _, a := range e.attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// parser reads one element.
type parser struct {
	root  *element
	open  []*element // those whose end was not read yet
	count int
}

// parse reads one element, and nothing may stand around it. As in a stream (RFC 6120, 11.1), comments,
// processing instructions and document types are not allowed, nor entities but XML's own.
func parse(b []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var p parser
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && p.root != nil && len(p.open) == 0:
			return p.root, nil
		case err != nil || !p.read(token):
			return nil, ErrMalformed // the decoder's own error may quote the message
		}
	}
}

// read reads one token, and says whether it is allowed.
func (p *parser) read(token xml.Token) bool {
	switch token := token.(type) {
	case xml.StartElement:
		return p.begin(token)
	case xml.EndElement:
		p.open = p.open[:len(p.open)-1] // the decoder checks that they match
		return true
	case xml.CharData:
		if len(p.open) == 0 {
			return len(bytes.TrimSpace(token)) == 0
		}
		in := p.open[len(p.open)-1]
		in.text = append(in.text, token...)
		return true
	}
	return false
}

func (p *parser) begin(start xml.StartElement) bool {
	p.count++
	if p.count > maxElements || len(p.open) >= maxDepth || len(start.Attr) > maxAttrs || (p.root != nil && len(p.open) == 0) {
		return false
	}
	e := &element{name: start.Name, attrs: start.Attr}
	if p.root == nil {
		p.root = e
	} else {
		in := p.open[len(p.open)-1]
		in.children = append(in.children, e)
	}
	p.open = append(p.open, e)
	return true
}

// write writes an element into a context whose default namespace is parent. Characters that XML does not
// have are replaced. A buffer takes everything, so there are no errors.
func write(b *bytes.Buffer, t about.Tree, parent string) {
	b.WriteString("<" + t.Local)
	if t.Space != parent {
		writeAttr(b, "xmlns", t.Space)
	}
	for i := 0; i+1 < len(t.Attrs); i += 2 {
		if t.Attrs[i+1] != "" {
			writeAttr(b, t.Attrs[i], t.Attrs[i+1])
		}
	}
	b.WriteByte('>')
	_ = xml.EscapeText(b, []byte(t.Text))
	for _, c := range t.Children {
		write(b, c, t.Space)
	}
	b.WriteString("</" + t.Local + ">")
}

func writeAttr(b *bytes.Buffer, name, value string) {
	b.WriteString(" " + name + `="`)
	_ = xml.EscapeText(b, []byte(value))
	b.WriteByte('"')
}
