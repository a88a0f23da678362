package stanza

import (
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Namespaces of encryptions that we do not read. Their elements are also recognized by name,
// since each version of OMEMO has its own namespace.
const (
	nsOpenPGP = "urn:xmpp:openpgp:0" // XEP-0373
	nsPGP     = "jabber:x:encrypted" // XEP-0027
)

// otr is how a message or a request of Off-the-Record messaging begins.
const otr = "?OTR"

// maxLanguage bounds the language tag, in bytes; BCP 47 needs no more.
const maxLanguage = 35

// unencrypted reads a message without an envelope: another encryption, with a body that is a
// notice for clients without it; unencrypted text; or nothing that a person wrote.
func (p Reader) unencrypted(r *Reading, e *Element, peer phone.Number, when Span, refs carrier.References) {
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
		u := carrier.Unread{From: peer, Kind: carrier.InClear}
		if p.AcceptUnencrypted {
			u.Text, u.References = text, refs
		} else {
			r.Drop(DropPlaintext)
		}
		p.unread(r, e, u, when)
	}
}

// foreignEncryption says whether a message holds something encrypted, or says that it does
// (XEP-0380), and whether that is content: every version of OMEMO also has messages that
// only advance a session.
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

// unread adds what is known about a message that could not be read.
func (p Reader) unread(r *Reading, e *Element, u carrier.Unread, when Span) {
	u.ID, u.Time, u.Language = r.idOf(e), p.sentAt(e, when), language(e)
	u.Resource = resource(e)
	u.WantsReceipt = u.ID != "" && e.Child(NSReceipts, "request") != nil
	u.WantsRead = u.ID != "" && e.Child(NSMarkers, "markable") != nil
	r.Event(u)
}

// resource returns the resource of the client that sent a stanza.
func resource(e *Element) string {
	_, r, _ := strings.Cut(e.Attr("from"), "/")
	return r
}

// language returns the language that a message declares (RFC 6120, 8.1.5): that of its body,
// or that of the stanza, which servers add from the client's stream.
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

// Mark gives a message that could not be read its id in our archive, by which we recognize it
// when it comes again.
func (r *Reading) Mark(position string) {
	for i, ev := range r.Events {
		if u, ok := ev.(carrier.Unread); ok {
			u.Mark = position
			r.Events[i] = u
		}
	}
}

// Refusal renders the error that answers a message that was not accepted (RFC 6120, 8.3). It
// goes to the client that sent the message: servers drop errors to a bare address.
func Refusal(a Addresses, to phone.Number, r carrier.Refusal) *Element {
	kind, condition := "modify", "not-acceptable"
	why := "The message was not accepted: it is not encrypted with the kind of OMEMO that this recipient reads."
	switch r.Kind {
	case carrier.OptedOut:
		why = "The request was not accepted: this recipient writes encrypted messages only."
	case carrier.TooLarge:
		why = "The message was not accepted: it is larger than this recipient reads."
	case carrier.OverQuota:
		kind, condition = "wait", "resource-constraint"
		why = "The message was not accepted: the recipient stores too much of this conversation already. Try again later."
	case carrier.UnknownReference:
		kind, condition = "cancel", "item-not-found"
		why = "This was not accepted: the message that it is about is not one that the recipient still has, or not one that you may take back."
	case carrier.NotEmoji:
		why = "The reaction was not accepted: this recipient accepts single emoji."
	case carrier.InClear, carrier.ForeignEncryption, carrier.Malformed:
	}
	return New(NSClient, "message", "to", a.Of(to)+"/"+r.Resource, "type", "error", "id", r.ID).With(
		New(NSClient, "error", "type", kind).With(
			New(NSStanzas, condition),
			New(NSStanzas, "text").WithText(why)))
}

// mayBeWritten says whether a person may have written a message that was not read to its end.
// Nobody wrote errors or announcements, and they are not answered.
func mayBeWritten(e *Element) bool {
	switch e.Attr("type") {
	case "error", "headline", "groupchat":
		return false
	}
	return e.Child(NSEvent, "event") == nil
}
