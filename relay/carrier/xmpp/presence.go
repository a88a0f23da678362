package xmpp

import (
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// maxFriends bounds the numbers that we remember having asked for presence. When
// there are more, some are asked again, which servers answer by themselves.
const maxFriends = 10_000

// receivePresence acts on a <presence/>: everybody who wants to see ours may, and we ask
// for theirs, because some clients show their keys only to those.
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
	c.befriend(peer)
}

// befriend asks, once, to see a peer's presence.
func (c *Carrier) befriend(peer phone.Number) {
	c.mu.Lock()
	_, known := c.friends[peer]
	if !known {
		if len(c.friends) >= maxFriends {
			clear(c.friends)
		}
		c.friends[peer] = struct{}{}
	}
	c.mu.Unlock()
	if known {
		return
	}
	if c.post(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", "subscribe")) != nil {
		c.mu.Lock()
		delete(c.friends, peer)
		c.mu.Unlock()
	}
}
