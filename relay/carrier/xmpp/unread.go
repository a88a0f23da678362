package xmpp

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
// notice for clients that lack it, text in clear, or nothing that a person wrote.
func (p reader) unencrypted(r *reading, e *element, peer phone.Number, when span) {
	var text string
	body := e.child(nsClient, "body")
	if body != nil {
		text = body.text
	}
	foreign, content := foreignEncryption(e)
	written := strings.TrimSpace(text) != ""
	switch {
	case foreign:
		r.drop(DropForeignEncryption)
		if content || written {
			p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.ForeignEncryption}, when)
		}
	case !written:
		chatState(r, e, peer)
	case strings.HasPrefix(text, otr):
		r.drop(DropForeignEncryption)
		p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.ForeignEncryption}, when)
	default:
		if !p.acceptUnencrypted {
			r.drop(DropPlaintext)
			text = ""
		}
		p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.InClear, Text: text}, when)
	}
}

// foreignEncryption says whether a message holds something encrypted, or says so
// (XEP-0380), and whether that is content: every version of OMEMO also has messages
// that only move a session on.
func foreignEncryption(e *element) (found, content bool) {
	for _, c := range e.children {
		switch {
		case c.is(nsEME, "encryption"):
			found = true
		case c.is(nsOpenPGP, "openpgp"), c.is(nsPGP, "x"):
			found, content = true, true
		case c.name.Local == "encrypted":
			found, content = true, content || hasPayload(c)
		}
	}
	return found, content
}

// hasPayload says whether an encrypted element holds content.
func hasPayload(encrypted *element) bool {
	for _, c := range encrypted.children {
		if c.name.Local == "payload" {
			return true
		}
	}
	return false
}

// unread completes what is known of a message that could not be read.
func (p reader) unread(r *reading, e *element, u carrier.Unread, when span) {
	u.ID, u.Time, u.Language = r.idOf(e), p.sentAt(e, when), language(e)
	u.Resource = resource(e)
	u.WantsReceipt = u.ID != "" && e.child(nsReceipts, "request") != nil
	u.WantsRead = u.ID != "" && e.child(nsMarkers, "markable") != nil
	r.event(u)
}

// resource returns that of the client which sent a stanza.
func resource(e *element) string {
	_, r, _ := strings.Cut(e.attr("from"), "/")
	return r
}

// language returns the language that a message says it is in (RFC 6120, 8.1.5): its
// body's own, or the stanza's, which servers add from the client's stream.
func language(e *element) string {
	for _, in := range []*element{e.child(nsClient, "body"), e} {
		if in == nil {
			continue
		}
		for _, a := range in.attrs {
			if a.Name.Local == "lang" && (a.Name.Space == nsXML || a.Name.Space == "xml") && len(a.Value) <= maxLanguage {
				return a.Value
			}
		}
	}
	return ""
}

// mark gives what could not be read its id in our archive, by which it is known when it
// comes again.
func (r *reading) mark(position string) {
	for i, ev := range r.events {
		if u, ok := ev.(carrier.Unread); ok {
			u.Mark = position
			r.events[i] = u
		}
	}
}

// refusal renders the error that answers a message which was not accepted (RFC 6120,
// 8.3). It goes to the client that sent it: servers drop errors to a bare address.
func refusal(a addresses, to phone.Number, r carrier.Refusal) *element {
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
	return elem(nsClient, "message", "to", a.of(to)+"/"+r.Resource, "type", "error", "id", r.ID).with(
		elem(nsClient, "error", "type", kind).with(
			elem(nsStanzas, condition),
			elem(nsStanzas, "text").withText(why)))
}
