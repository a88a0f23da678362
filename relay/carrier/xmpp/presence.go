package xmpp

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 names it; nothing depends on its strength
	"encoding/base64"
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// What we are, to those who ask (XEP-0030). The node names the software alone.
const (
	clientNode = "https://relaykeep.dev"
	clientName = "Relaykeep"
)

// features are what others may send us. "+notify" asks servers for device lists of
// whoever lets us see their presence (XEP-0163).
func features() []string {
	return []string{
		stanza.NSCaps, stanza.NSStates, stanza.NSDisco, stanza.NodeDevices + "+notify", stanza.NSEME, stanza.NSMarkers, stanza.NSPing, stanza.NSReceipts,
	}
}

// maxFriends bounds the numbers that we remember having asked for presence. When
// there are more, some are asked again, which servers answer by themselves.
const maxFriends = 10_000

// capsVersion is the verification string of XEP-0115, 5.1.
func capsVersion() string {
	sorted := slices.Sorted(slices.Values(features()))
	s := "client/bot//" + clientName + "<" + strings.Join(sorted, "<") + "<"
	sum := sha1.Sum([]byte(s)) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// presence says that we are here and what we understand.
func (c *Carrier) presence() *stanza.Element {
	return stanza.New(stanza.NSClient, "presence").With(
		stanza.New(stanza.NSCaps, "c", "hash", "sha-1", "node", clientNode, "ver", capsVersion()))
}

// presenceFrom acts on a <presence/>: whoever wants to see ours may, and we ask
// for theirs, because some clients show their keys only to those.
func (c *Carrier) presenceFrom(e *stanza.Element) {
	if e.Attr("type") != "subscribe" {
		return
	}
	from, peer := c.addr.Origin(e.Attr("from"))
	if from != stanza.FromPeer {
		c.cfg.Metrics.Dropped(from.Drop())
		return
	}
	_ = c.tell(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", "subscribed"))
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
	if c.tell(stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(peer), "type", "subscribe")) != nil {
		c.mu.Lock()
		delete(c.friends, peer)
		c.mu.Unlock()
	}
}

// iq acts on an <iq/>: an answer goes to who asked; of questions we know two, and of
// commands one.
func (s *service) iq(e *stanza.Element) {
	kind := e.Attr("type")
	if kind == "result" || kind == "error" {
		s.c.answered(e)
		return
	}
	reply := stanza.New(stanza.NSClient, "iq", "type", "result", "to", e.Attr("from"), "id", e.Attr("id"))
	query := e.Child(stanza.NSDisco, "query")
	switch {
	case e.Over != "":
		reply = stanza.New(stanza.NSClient, "iq", "type", "error", "to", e.Attr("from"), "id", e.Attr("id")).With(tooLarge())
	case kind == "get" && query != nil && ourNode(query.Attr("node")):
		reply.With(disco(query.Attr("node")))
	case kind == "get" && e.Child(stanza.NSPing, "ping") != nil:
	case kind == "set" && e.Child(nsRoster, "query") != nil && s.c.rosterPush(e):
	default:
		reply = stanza.New(stanza.NSClient, "iq", "type", "error", "to", e.Attr("from"), "id", e.Attr("id")).With(
			stanza.New(stanza.NSClient, "error", "type", "cancel").With(stanza.New(stanza.NSStanzas, "service-unavailable")))
	}
	_ = s.c.tell(reply) // an error is the link's end
}

func ourNode(node string) bool { return node == "" || node == clientNode+"#"+capsVersion() }

func disco(node string) *stanza.Element {
	q := stanza.New(stanza.NSDisco, "query", "node", node).With(
		stanza.New(stanza.NSDisco, "identity", "category", "client", "type", "bot", "name", clientName))
	for _, f := range features() {
		q.With(stanza.New(stanza.NSDisco, "feature", "var", f))
	}
	return q
}
