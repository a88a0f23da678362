package xmpp

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// fallbackBody is what clients without OMEMO show.
const fallbackBody = "This message is encrypted with OMEMO, which your client does not seem to support."

// reading is what one <message/> came to.
type reading struct {
	events []carrier.Event
	drops  []Drop
}

func (r *reading) drop(d Drop)            { r.drops = append(r.drops, d) }
func (r *reading) event(ev carrier.Event) { r.events = append(r.events, ev) }
func (r *reading) idOf(e *element) (id string) {
	if id = e.attr("id"); len(id) > maxID {
		r.drop(DropLongID)
		return ""
	}
	return id
}

// reader turns <message/> stanzas into events. It is pure.
type reader struct {
	addresses
	acceptUnencrypted bool
}

// span is when a message that is read now may have been taken by the server: since then.
// The zero time is any time ago.
type span struct{ since, now time.Time }

// message reads one <message/>.
func (p reader) message(e *element, when span) reading {
	var r reading
	from, peer := p.origin(e.attr("from"))
	switch {
	case e.over != "":
		r.drop(e.over)
		if from == fromPeer && mayBeWritten(e) {
			p.unread(&r, e, carrier.Unread{From: peer, Kind: carrier.TooLarge}, when)
		}
	case from == fromOwn:
		p.notification(&r, e, peer, true)
	case from != fromPeer:
		r.drop(from.drop())
	case e.attr("type") == "error":
		p.bounce(&r, e, peer)
	case e.attr("type") == "headline" || e.child(nsEvent, "event") != nil:
		p.notification(&r, e, peer, false)
	case e.attr("type") == "groupchat":
		r.drop(DropForeignType)
	default:
		p.chat(&r, e, peer, when)
	}
	if len(r.events) == 0 && len(r.drops) == 0 {
		r.drop(DropEmpty)
	}
	return r
}

// bounce reads a message that came back (RFC 6120, 8.3). Of the types of errors "wait"
// alone says that the same message may be taken later; "continue" says that nothing is
// wrong with it. When a session ends whose client has not acknowledged everything,
// servers return what is left, which the client may have shown: ejabberd as
// service-unavailable, Prosody as recipient-unavailable.
func (p reader) bounce(r *reading, e *element, peer phone.Number) {
	said := parseStanzaError(e)
	if id := r.idOf(e); id != "" && said.kind != "continue" {
		r.event(carrier.Bounce{
			To: peer, ID: id, Temporary: said.kind == "wait",
			Doubtful: said.kind != "wait" && isCondition(said, "service-unavailable", "recipient-unavailable"),
		})
	}
}

// notification reads a PEP event (XEP-0163); only device lists are of interest.
func (p reader) notification(r *reading, e *element, peer phone.Number, own bool) {
	items := e.child(nsEvent, "event").child(nsEvent, "items")
	if items == nil || items.attr("node") != nodeDevices {
		if own {
			r.drop(DropFromSelf)
		} else {
			r.drop(DropForeignType)
		}
		return
	}
	// A retracted list is no news about devices: the owner publishes a new one.
	item := items.child(nsEvent, "item")
	if item == nil {
		return
	}
	devices, err := parseDevices(item.child(nsOMEMO, "list"))
	switch {
	case err != nil:
		r.drop(DropMalformed)
	case own:
		r.event(carrier.OwnDeviceList{Devices: devices})
	default:
		r.event(carrier.DeviceList{Peer: peer, Devices: devices})
	}
}

// chat reads what a person's client sends: an envelope, receipts, or text in clear.
func (p reader) chat(r *reading, e *element, peer phone.Number, when span) {
	p.receipts(r, e, peer)
	if enc := e.child(nsOMEMO, "encrypted"); enc != nil {
		env, err := parseEncrypted(enc)
		if err != nil {
			r.drop(DropMalformed)
			if hasPayload(enc) {
				p.unread(r, e, carrier.Unread{From: peer, Kind: carrier.Malformed}, when)
			}
			return
		}
		id := r.idOf(e)
		r.event(carrier.Message{
			ID:           id,
			From:         peer,
			Resource:     resource(e),
			Envelope:     env,
			Time:         p.sentAt(e, when),
			WantsReceipt: id != "" && e.child(nsReceipts, "request") != nil,
			WantsRead:    id != "" && e.child(nsMarkers, "markable") != nil,
		})
		return
	}
	p.unencrypted(r, e, peer, when)
}

func (p reader) receipts(r *reading, e *element, peer phone.Number) {
	for _, c := range e.children {
		kind := carrier.Delivered
		switch {
		case c.is(nsReceipts, "received"), c.is(nsMarkers, "received"):
		case c.is(nsMarkers, "displayed"), c.is(nsMarkers, "acknowledged"):
			kind = carrier.Read
		default:
			continue
		}
		if id := r.idOf(c); id != "" {
			r.event(carrier.Receipt{From: peer, ID: id, Kind: kind})
		}
		if len(r.events) >= maxReceipts {
			return
		}
	}
}

// maxReceipts is how many receipts one stanza may hold; clients send one.
const maxReceipts = 8

// sentAt is when our server took a message that waited for us. It adds that as the last
// element: what stands before is the sender's, who may write our server's name there as
// well. Prosody names our own account after a resumption.
func (p reader) sentAt(e *element, when span) time.Time {
	if len(e.children) == 0 {
		return when.now.UTC()
	}
	last := e.children[len(e.children)-1]
	by := last.attr("from")
	t, err := time.Parse(time.RFC3339, last.attr("stamp"))
	if !last.is(nsDelay, "delay") || by != p.domain && by != p.of(p.own) || err != nil || t.Before(when.since) || !t.Before(when.now) {
		return when.now.UTC()
	}
	return t.UTC()
}

// outgoing renders an envelope's stanza.
func outgoing(a addresses, o carrier.Outgoing) *element {
	m := elem(nsClient, "message", "to", a.of(o.To), "type", "chat", "id", o.ID).with(
		encrypted(o.Envelope),
		elem(nsEME, "encryption", "namespace", nsOMEMO, "name", "OMEMO"),
		elem(nsHints, "store"),
	)
	if o.Envelope.Payload != nil {
		m.with(elem(nsClient, "body").withText(fallbackBody))
	}
	if o.Receipts {
		m.with(elem(nsReceipts, "request"), elem(nsMarkers, "markable"))
	}
	return m
}

// receipt renders a receipt's stanza. It is kept for a peer that is away.
func receipt(a addresses, id string, to phone.Number, about string, kind carrier.ReceiptKind) *element {
	said := elem(nsReceipts, "received", "id", about)
	if kind == carrier.Read {
		said = elem(nsMarkers, "displayed", "id", about)
	}
	return elem(nsClient, "message", "to", a.of(to), "type", "chat", "id", id).with(said, elem(nsHints, "store"))
}

// typing renders a chat state, which nobody keeps.
func typing(a addresses, to phone.Number, composing bool) *element {
	state := "active"
	if composing {
		state = "composing"
	}
	return elem(nsClient, "message", "to", a.of(to), "type", "chat").with(
		elem(nsStates, state), elem(nsHints, "no-store"))
}
