package xmpp

import "github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"

// receivePresence acts on a <presence/>. Everybody may see our presence. Who asks to see it adds
// us as a contact, and is asked for theirs in return, as people do who add each other (RFC 6121,
// section 3.1): servers tell each side about the other's devices only then, and some clients
// encrypt for nobody else. Nobody else is asked: some clients send no read markers to a peer whose
// request waits. Whatever else a presence says, for example that a peer is online, is dropped.
//
// Nobody is asked twice (RFC 6121, appendix A): the server does not pass on a request of a peer who
// sees our presence already, nor ours to one who was asked and has not answered, or who lets us see
// theirs. Our request goes first: in the other order, ejabberd 23.01 tells us nothing of the peer's
// devices.
func (c *Carrier) receivePresence(e *stanza.Element) {
	if e.Attr("type") != "subscribe" {
		return
	}
	from, peer := c.addr.Origin(e.Attr("from"))
	if from != stanza.FromPeer {
		c.cfg.Metrics.Dropped(from.Drop())
		return
	}
	for _, kind := range []string{"subscribe", "subscribed"} {
		_ = c.post(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", kind))
	}
}
