package stanza

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/sharing"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// fallbackBody is what clients without OMEMO show.
const fallbackBody = "This message is encrypted with OMEMO, which your client does not seem to support."

// Reading is the result of reading one <message/>.
type Reading struct {
	Events []carrier.Event
	Drops  []Drop
}

// Drop notes that something was not passed on.
func (r *Reading) Drop(d Drop) { r.Drops = append(r.Drops, d) }

// Event adds an event.
func (r *Reading) Event(ev carrier.Event) { r.Events = append(r.Events, ev) }

func (r *Reading) idOf(e *Element) string { return r.usable(e.Attr("id")) }

// usable returns an id, unless it is too long.
func (r *Reading) usable(id string) string {
	if len(id) > MaxID {
		r.Drop(DropLongID)
		return ""
	}
	return id
}

// Reader turns <message/> stanzas into events. It is pure.
type Reader struct {
	Addresses
	AcceptUnencrypted bool
}

// Span says when the server may have got a message that is read now: not before Since. The
// zero time sets no limit.
type Span struct{ Since, Now time.Time }

// Message reads one <message/>.
func (p Reader) Message(e *Element, when Span) Reading {
	var r Reading
	from, peer := p.Origin(e.Attr("from"))
	switch {
	case e.Over != "":
		r.Drop(e.Over)
		if from == FromPeer && mayBeWritten(e) {
			p.unread(&r, e, carrier.Unread{From: peer, Kind: carrier.TooLarge}, when)
		}
	case from == FromOwn:
		p.notification(&r, e, peer, true)
	case from == FromServer && p.report(&r, e):
	case from != FromPeer:
		r.Drop(from.Drop())
	case e.Attr("type") == "error":
		p.bounce(&r, e, peer)
	case e.Attr("type") == "headline" || e.Child(NSEvent, "event") != nil:
		p.notification(&r, e, peer, false)
	case e.Attr("type") == "groupchat":
		r.Drop(DropForeignType)
	default:
		p.chat(&r, e, peer, when)
	}
	if len(r.Events) == 0 && len(r.Drops) == 0 {
		r.Drop(DropEmpty)
	}
	return r
}

// bounce reads a message that came back (RFC 6120, 8.3). Only errors of type "wait" say that
// the same message may be accepted later; "continue" says that nothing is wrong with it. When
// a peer's stream ends and its client has not acknowledged everything, servers return the
// rest, though the client may have shown it: ejabberd as service-unavailable, Prosody as
// recipient-unavailable. Without the element that says what the error is, nothing came back:
// Converse marks a message that it could not decrypt as displayed in a message of this type.
func (p Reader) bounce(r *Reading, e *Element, peer phone.Number) {
	if e.Child(NSClient, "error") == nil {
		if p.receipts(r, e, peer); len(r.Events) > 0 {
			for i, ev := range r.Events {
				if said, ok := ev.(carrier.Receipt); ok {
					said.Kind = carrier.Unreadable
					r.Events[i] = said
				}
			}
			return
		}
	}
	said := ParseError(e)
	if id := r.idOf(e); id != "" && said.Kind != "continue" {
		r.Event(carrier.Bounce{
			To: peer, ID: id, Temporary: said.Kind == "wait",
			Doubtful: said.Kind != "wait" && IsCondition(said, "service-unavailable", "recipient-unavailable"),
		})
	}
}

// notification reads a PEP event (XEP-0163). Only device lists matter to us.
func (p Reader) notification(r *Reading, e *Element, peer phone.Number, own bool) {
	items := e.Child(NSEvent, "event").Child(NSEvent, "items")
	node := items.attrOrEmpty("node")
	if node != NodeDevices && node != NodeDevices2 {
		if own {
			r.Drop(DropFromSelf)
		} else {
			r.Drop(DropForeignType)
		}
		return
	}
	// A retracted list says nothing about devices: the owner publishes a new one.
	item := items.Child(NSEvent, "item")
	if item == nil {
		return
	}
	format := carrier.Legacy
	if node == NodeDevices2 {
		format = carrier.OMEMO2
	}
	devices, err := ListedDevices(format, item)
	switch {
	case err != nil:
		r.Drop(DropMalformed)
	case own:
		r.Event(carrier.OwnDeviceList{Format: format, Devices: devices})
	default:
		r.Event(carrier.DeviceList{Peer: peer, Format: format, Devices: devices})
	}
}

// chat reads what a person's client sends: an envelope, receipts, reactions, retractions, or
// unencrypted text.
func (p Reader) chat(r *Reading, e *Element, peer phone.Number, when Span) {
	p.receipts(r, e, peer)
	said := r.about(e)
	reaction, retraction := p.remarks(r, e, peer, when, said)
	envelopes, found := p.envelopes(r, e)
	// What stands inside the encryption counts before these two, so they come with the envelope.
	inside := len(envelopes) > 0 && envelopes[0].Format == carrier.OMEMO2
	if reaction != nil && !inside {
		r.Event(*reaction)
	}
	if retraction != nil && !inside {
		r.Event(*retraction)
	}
	if found != nil {
		if len(envelopes) == 0 {
			if hasPayload(found) {
				p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.Malformed}, when)
			}
			return
		}
		id := r.idOf(e)
		m := carrier.Message{
			ID:           id,
			From:         peer,
			Resource:     resource(e),
			Envelope:     envelopes[0],
			Other:        carrier.Second(envelopes),
			Time:         p.sentAt(e, when),
			WantsReceipt: id != "" && e.Child(NSReceipts, "request") != nil,
			WantsRead:    id != "" && e.Child(NSMarkers, "markable") != nil,
			References:   said.References,
			Files:        described(e),
			Nickname:     Nickname(e),
		}
		if inside {
			m.Reaction, m.Retraction = reaction, retraction
		}
		r.Event(m)
		return
	}
	if !said.Reacts && !said.Retracts {
		p.unencrypted(r, e, peer, when, said.References)
	}
}

// described reads what a message says of its files in clear. A key in clear is of no use to us: the server
// has it, too.
func described(e *Element) []carrier.SharedFile {
	files := sharing.Read(e).Files
	for i := range files {
		files[i].Link, files[i].Sticker = "", false
	}
	return files
}

// envelopes reads a message's envelopes, that of OMEMO2 first. It returns an element that encrypts
// something, or nil when there is none.
func (p Reader) envelopes(r *Reading, e *Element) (read []carrier.Envelope, found *Element) {
	for _, space := range []string{NSOMEMO2, NSOMEMO} {
		enc := e.Child(space, "encrypted")
		if enc == nil {
			continue
		}
		if found == nil || hasPayload(enc) {
			found = enc
		}
		if env, err := p.envelope(enc); err == nil {
			read = append(read, env)
		}
	}
	if found != nil && len(read) == 0 {
		r.Drop(DropMalformed)
	}
	return read, found
}

// envelope reads <encrypted/> of either format.
func (p Reader) envelope(enc *Element) (carrier.Envelope, error) {
	if enc.Name.Space == NSOMEMO2 {
		return parseEncrypted2(enc, p.Of(p.Own))
	}
	return parseEncrypted(enc)
}

func (p Reader) receipts(r *Reading, e *Element, peer phone.Number) {
	for _, c := range e.Children {
		kind := carrier.Delivered
		switch {
		case c.Is(NSReceipts, "received"), c.Is(NSMarkers, "received"):
		case c.Is(NSMarkers, "displayed"), c.Is(NSMarkers, "acknowledged"):
			kind = carrier.Read
		default:
			continue
		}
		if id := r.idOf(c); id != "" {
			r.Event(carrier.Receipt{From: peer, ID: id, Kind: kind})
		}
		if len(r.Events) >= MaxReceipts {
			return
		}
	}
}

// MaxReceipts is how many receipts one stanza may hold; clients send one.
const MaxReceipts = 8

// sentAt is when our server got a message that waited for us. The server adds that time as
// the last element. Earlier elements are the sender's, who could write our server's name
// there. After a resumption Prosody names our own account instead of itself.
func (p Reader) sentAt(e *Element, when Span) time.Time {
	if len(e.Children) == 0 {
		return when.Now.UTC()
	}
	last := e.Children[len(e.Children)-1]
	by := last.Attr("from")
	t, err := time.Parse(time.RFC3339, last.Attr("stamp"))
	if !last.Is(NSDelay, "delay") || by != p.Domain && by != p.Of(p.Own) || err != nil || t.Before(when.Since) || !t.Before(when.Now) {
		return when.Now.UTC()
	}
	return t.UTC()
}

// Outgoing renders an envelope's stanza.
func Outgoing(a Addresses, o carrier.Outgoing) *Element {
	space := NSOMEMO
	m := New(NSClient, "message", "to", a.Of(o.To), "type", "chat", "id", o.ID).With(encrypted(o.Envelope, a.Of(o.To)))
	if o.Other != nil {
		m.With(encrypted(*o.Other, a.Of(o.To)))
	} else if o.Envelope.Format == carrier.OMEMO2 {
		space = NSOMEMO2 // XEP-0380 has one; what reads both needs none
	}
	m.With(New(NSEME, "encryption", "namespace", space, "name", "OMEMO"), New(NSHints, "store"))
	if o.Envelope.Payload != nil {
		m.With(New(NSClient, "body").WithText(fallbackBody))
	}
	withReferences(m, a, o.To, o.References)
	if o.Receipts {
		m.With(New(NSReceipts, "request"), New(NSMarkers, "markable"))
	}
	return m
}

// Receipt renders a receipt's stanza. The server keeps it for a peer that is offline.
func Receipt(a Addresses, id string, to phone.Number, about string, kind carrier.ReceiptKind) *Element {
	said := New(NSReceipts, "received", "id", about)
	if kind == carrier.Read {
		said = New(NSMarkers, "displayed", "id", about)
	}
	return New(NSClient, "message", "to", a.Of(to), "type", "chat", "id", id).With(said, New(NSHints, "store"))
}

// Knock renders a message that says nothing, which clients do not show.
func Knock(a Addresses, to phone.Number, id string) *Element {
	return New(NSClient, "message", "to", a.Of(to), "type", "chat", "id", id).With(New(NSStates, "active"), New(NSHints, "no-store"))
}

// Typing renders a chat state. Nobody stores it.
func Typing(a Addresses, to phone.Number, composing bool) *Element {
	state := "active"
	if composing {
		state = "composing"
	}
	return New(NSClient, "message", "to", a.Of(to), "type", "chat").With(
		New(NSStates, state), New(NSHints, "no-store"))
}
