package xmpp

import (
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// maxFriends bounds the peers that we remember having asked for presence. When there are
// more, we ask some of them again; servers answer that by themselves.
const maxFriends = 10_000

// receivePresence acts on a <presence/>. Everybody may see our presence, and we ask to see
// theirs, because some clients show their keys only to those who may.
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
