package stanza

import (
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Namespaces of encryptions that we do not read. Their elements are also known by
// their names, as each version of OMEMO has a namespace of its own.
const (
	nsOpenPGP = "urn:xmpp:openpgp:0" // XEP-0373
	nsPGP     = "jabber:x:encrypted" // XEP-0027
)

// otr is what begins a message or a wish of Off-the-Record messaging.
const otr = "?OTR"

// maxLanguage bounds the language tag that is looked at; BCP 47 needs no more.
const maxLanguage = 35

// unencrypted reads a message without an envelope: another encryption, whose body is a
// notice for clients without it, text in clear, or nothing that a person wrote.
func (p Reader) unencrypted(r *Reading, e *Element, peer phone.Number, when Span) {
	var text string
	body := e.Child(NSClient, "body")
	if body != nil {
		text = body.Text
	}
	foreign, content := foreignEncryption(e)
	written := strings.TrimSpace(text) != ""
	switch {
	case foreign:
		r.Drop(DropForeignEncryption)
		if content || written {
			p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.ForeignEncryption}, when)
		}
	case !written:
		chatState(r, e, peer)
	case strings.HasPrefix(text, otr):
		r.Drop(DropForeignEncryption)
		p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.ForeignEncryption}, when)
	default:
		if !p.AcceptUnencrypted {
			r.Drop(DropPlaintext)
			text = ""
		}
		p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.InClear, Text: text}, when)
	}
}

// foreignEncryption says whether a message holds something encrypted, or says so
// (XEP-0380), and whether that is content: every version of OMEMO also has messages
// that only move a session on.
func foreignEncryption(e *Element) (found, content bool) {
	for _, c := range e.Children {
		switch {
		case c.Is(NSEME, "encryption"):
			found = true
		case c.Is(nsOpenPGP, "openpgp"), c.Is(nsPGP, "x"):
			found, content = true, true
		case c.Name.Local == "encrypted":
			found, content = true, content || hasPayload(c)
		}
	}
	return found, content
}

// hasPayload says whether an encrypted element holds content.
func hasPayload(encrypted *Element) bool {
	for _, c := range encrypted.Children {
		if c.Name.Local == "payload" {
			return true
		}
	}
	return false
}

// unread completes what is known of a message that could not be read.
func (p Reader) unread(r *Reading, e *Element, u carrier.Unread, when Span) {
	u.ID, u.Time, u.Language = r.idOf(e), p.sentAt(e, when), language(e)
	u.Resource = resource(e)
	u.WantsReceipt = u.ID != "" && e.Child(NSReceipts, "request") != nil
	u.WantsRead = u.ID != "" && e.Child(NSMarkers, "markable") != nil
	r.Event(u)
}

// resource returns that of the client which sent a stanza.
func resource(e *Element) string {
	_, r, _ := strings.Cut(e.Attr("from"), "/")
	return r
}

// language returns the language that a message says it is in (RFC 6120, 8.1.5): its
// body's own, or the stanza's, which servers add from the client's stream.
func language(e *Element) string {
	for _, in := range []*Element{e.Child(NSClient, "body"), e} {
		if in == nil {
			continue
		}
		for _, a := range in.Attrs {
			if a.Name.Local == "lang" && (a.Name.Space == nsXML || a.Name.Space == "xml") && len(a.Value) <= maxLanguage {
				return a.Value
			}
		}
	}
	return ""
}

// Mark gives what could not be read its id in our archive, by which it is known when it
// comes again.
func (r *Reading) Mark(position string) {
	for i, ev := range r.Events {
		if u, ok := ev.(carrier.Unread); ok {
			u.Mark = position
			r.Events[i] = u
		}
	}
}

// Refusal renders the error that answers a message which was not accepted (RFC 6120,
// 8.3). It goes to the client that sent it: servers drop errors to a bare address.
func Refusal(a Addresses, to phone.Number, r carrier.Refusal) *Element {
	kind, condition := "modify", "not-acceptable"
	why := "The message was not encrypted with OMEMO as this recipient reads it, and was not accepted."
	switch r.Kind {
	case carrier.TooLarge:
		why = "The message is larger than this recipient reads, and was not accepted."
	case carrier.OverQuota:
		kind, condition = "wait", "resource-constraint"
		why = "The recipient keeps too much of this conversation to take more now, and did not accept the message."
	case carrier.InClear, carrier.ForeignEncryption, carrier.Malformed:
	}
	return New(NSClient, "message", "to", a.Of(to)+"/"+r.Resource, "type", "error", "id", r.ID).With(
		New(NSClient, "error", "type", kind).With(
			New(NSStanzas, condition),
			New(NSStanzas, "text").WithText(why)))
}

// mayBeWritten says whether a message that was not read to its end may be what a person
// wrote. Errors and what is told to many are not, and are not answered.
func mayBeWritten(e *Element) bool {
	switch e.Attr("type") {
	case "error", "headline", "groupchat":
		return false
	}
	return e.Child(NSEvent, "event") == nil
}
