package xmpp

import "github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"

// receivePresence acts on a <presence/>. Everybody may see our presence. We do not ask to see
// theirs in return: some clients send no read markers to a peer whose request waits.
func (c *Carrier) receivePresence(e *stanza.Element) {
	if e.Attr("type") != "subscribe" {
		return
	}
	from, peer := c.addr.Origin(e.Attr("from"))
	if from != stanza.FromPeer {
		c.cfg.Metrics.Dropped(from.Drop())
		return
	}
	_ = c.post(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", "subscribed"))
}
