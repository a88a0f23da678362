package xmpp

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 names it; nothing depends on its strength
	"encoding/base64"
	"slices"
	"strings"

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
		nsCaps, nsStates, nsDisco, nodeDevices + "+notify", nsEME, nsMarkers, nsPing, nsReceipts,
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
func (c *Carrier) presence() *element {
	return elem(nsClient, "presence").with(
		elem(nsCaps, "c", "hash", "sha-1", "node", clientNode, "ver", capsVersion()))
}

// presenceFrom acts on a <presence/>: whoever wants to see ours may, and we ask
// for theirs, because some clients show their keys only to those.
func (c *Carrier) presenceFrom(e *element) {
	if e.attr("type") != "subscribe" {
		return
	}
	from, peer := c.addr.origin(e.attr("from"))
	if from != fromPeer {
		c.cfg.Metrics.Dropped(from.drop())
		return
	}
	_ = c.tell(elem(nsClient, "presence", "to", c.addr.of(peer), "type", "subscribed"))
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
	if c.tell(elem(nsClient, "presence", "to", c.addr.of(peer), "type", "subscribe")) != nil {
		c.mu.Lock()
		delete(c.friends, peer)
		c.mu.Unlock()
	}
}

// iq acts on an <iq/>: an answer goes to who asked; of questions we know two, and of
// commands one.
func (s *service) iq(e *element) {
	kind := e.attr("type")
	if kind == "result" || kind == "error" {
		s.c.answered(e)
		return
	}
	reply := elem(nsClient, "iq", "type", "result", "to", e.attr("from"), "id", e.attr("id"))
	query := e.child(nsDisco, "query")
	switch {
	case e.over != "":
		reply = elem(nsClient, "iq", "type", "error", "to", e.attr("from"), "id", e.attr("id")).with(tooLarge())
	case kind == "get" && query != nil && ourNode(query.attr("node")):
		reply.with(disco(query.attr("node")))
	case kind == "get" && e.child(nsPing, "ping") != nil:
	case kind == "set" && e.child(nsRoster, "query") != nil && s.c.rosterPush(e):
	default:
		reply = elem(nsClient, "iq", "type", "error", "to", e.attr("from"), "id", e.attr("id")).with(
			elem(nsClient, "error", "type", "cancel").with(elem(nsStanzas, "service-unavailable")))
	}
	_ = s.c.tell(reply) // an error is the link's end
}

func ourNode(node string) bool { return node == "" || node == clientNode+"#"+capsVersion() }

func disco(node string) *element {
	q := elem(nsDisco, "query", "node", node).with(
		elem(nsDisco, "identity", "category", "client", "type", "bot", "name", clientName))
	for _, f := range features() {
		q.with(elem(nsDisco, "feature", "var", f))
	}
	return q
}
