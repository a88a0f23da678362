package xmpp

import (
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Bounds on what we answer to the presence of peers who became contacts.
const (
	maxNewContacts = 1024
	// answeredPresences is how many presences of a new contact we answer: one arrives for each
	// of their clients that is online.
	answeredPresences = 4
)

// receivePresence acts on a <presence/>. Everybody may see our presence. Who asks to see it adds
// us as a contact, and is asked for theirs in return, as people do who add each other (RFC 6121,
// section 3.1): servers tell each side about the other's devices only then, and some clients
// encrypt for nobody else. Nobody else is asked: some clients send no read markers to a peer whose
// request waits. Whatever else a presence says, for example that a peer is away, is dropped.
//
// Nobody is asked twice (RFC 6121, appendix A): the server does not pass on a request of a peer who
// sees our presence already, nor ours to one who was asked and has not answered, or who lets us see
// theirs.
func (c *Carrier) receivePresence(e *stanza.Element) {
	kind := e.Attr("type")
	if kind != "subscribe" && kind != "subscribed" && kind != "" {
		return
	}
	from, peer := c.addr.Origin(e.Attr("from"))
	switch {
	case from != stanza.FromPeer:
		if kind == "subscribe" {
			c.cfg.Metrics.Dropped(from.Drop())
		}
	case kind == "subscribe":
		c.postPresence(peer, "subscribe")
		c.postPresence(peer, "subscribed")
	case kind == "subscribed":
		c.accepted(peer)
	default:
		c.appeared(peer)
	}
}

// ejabberd 23.01 sends a client what a contact published when the contact accepts the client, but
// only if the contact's session knows what the client wants to be told. It reads that in a presence
// of the client's that arrives once the contact has accepted the client; at changes, too, nobody
// else is told. When a peer adds us, we accept before we can have their presence, and ours arrives
// before they accept. So we show ours again when they have accepted, and accept them again when
// theirs arrives: for clients this changes nothing.

// accepted acts on a peer's answer that we may see their presence.
func (c *Carrier) accepted(peer phone.Number) {
	c.mu.Lock()
	if len(c.newContacts) >= maxNewContacts {
		clear(c.newContacts)
	}
	c.newContacts[peer] = answeredPresences
	c.mu.Unlock()
	_ = c.post(presence("to", c.addr.Of(peer))) // an error means that the link has ended, as below
}

// appeared acts on the news that a peer is online.
func (c *Carrier) appeared(peer phone.Number) {
	c.mu.Lock()
	left := c.newContacts[peer]
	if left > 1 {
		c.newContacts[peer]--
	} else {
		delete(c.newContacts, peer)
	}
	c.mu.Unlock()
	if left > 0 {
		c.postPresence(peer, "subscribed")
	}
}

// postPresence sends a peer a request or an answer about presence.
func (c *Carrier) postPresence(peer phone.Number, kind string) {
	_ = c.post(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", kind))
}
