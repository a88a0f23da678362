package stanza

import (
	"iter"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Words is an element's own character data (about.Element).
func (e *Element) Words() string { return e.Text }

// Elements are an element's children (about.Element).
func (e *Element) Elements() iter.Seq[about.Element] {
	return func(yield func(about.Element) bool) {
		for _, c := range e.Children {
			if !yield(c) {
				return
			}
		}
	}
}

// about reads what a message says about others in clear.
func (r *Reading) about(e *Element) about.Said {
	return about.Read(e, func(named about.Element) string { return r.usable(named.Attr("id")) })
}

// remarks returns a message's reaction and retraction; nil for none that can be told.
func (p Reader) remarks(r *Reading, e *Element, peer phone.Number, when Span, said about.Said) (reaction *carrier.Reaction, retraction *carrier.Retraction) {
	if said.ReactsTo != "" {
		reaction = &carrier.Reaction{
			ID: r.idOf(e), From: peer, Resource: resource(e), About: said.ReactsTo, Emoji: said.Emoji, Time: p.sentAt(e, when),
		}
	}
	if said.Takes != "" {
		retraction = &carrier.Retraction{ID: r.idOf(e), From: peer, Resource: resource(e), About: said.Takes, Time: p.sentAt(e, when)}
	}
	return reaction, retraction
}

// element makes an element of a tree.
func element(t about.Tree) *Element {
	e := New(t.Space, t.Local, t.Attrs...).WithText(t.Text)
	for _, c := range t.Children {
		e.With(element(c))
	}
	return e
}

// withReferences adds what a message says about others.
func withReferences(m *Element, a Addresses, to phone.Number, refs carrier.References) {
	author := to
	if refs.ReplyToOwn {
		author = a.Own
	}
	for _, t := range about.References(refs, a.Of(author)) {
		m.With(element(t))
	}
}

// Reaction renders a reaction's stanza. The server keeps it for a peer that is offline.
func Reaction(a Addresses, r carrier.OutgoingReaction) *Element {
	return New(NSClient, "message", "to", a.Of(r.To), "type", "chat", "id", r.ID).With(
		element(about.Reaction(r.About, r.Emoji)), New(NSHints, "store"))
}

// Retraction renders a retraction's stanza.
func Retraction(a Addresses, id string, to phone.Number, retracted string) *Element {
	return New(NSClient, "message", "to", a.Of(to), "type", "chat", "id", id).With(
		element(about.Retraction(retracted)), New(NSHints, "store"))
}
