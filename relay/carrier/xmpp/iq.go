package xmpp

import (
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// receiveIQ acts on an <iq/>, and returns what it says to the Handler. An answer goes to its
// question. We answer two kinds of question and obey one command.
func (s *service) receiveIQ(e *stanza.Element) (events []carrier.Event) {
	kind := e.Attr("type")
	if kind == "result" || kind == "error" {
		s.c.questions.receive(e)
		return nil
	}
	obeyed := false
	if kind == "set" && e.Over == "" && e.Child(nsRoster, "query") != nil {
		events, obeyed = s.c.rosterPush(e)
	}
	reply := stanza.New(stanza.NSClient, "iq", "type", "result", "to", e.Attr("from"), "id", e.Attr("id"))
	query := e.Child(stanza.NSDisco, "query")
	switch {
	case e.Over != "":
		reply = stanza.New(stanza.NSClient, "iq", "type", "error", "to", e.Attr("from"), "id", e.Attr("id")).With(tooLarge())
	case kind == "get" && query != nil && ourNode(query.Attr("node")):
		reply.With(disco(query.Attr("node")))
	case kind == "get" && e.Child(stanza.NSPing, "ping") != nil:
	case obeyed:
	default:
		reply = stanza.New(stanza.NSClient, "iq", "type", "error", "to", e.Attr("from"), "id", e.Attr("id")).With(
			stanza.New(stanza.NSClient, "error", "type", "cancel").With(stanza.New(stanza.NSStanzas, "service-unavailable")))
	}
	_ = s.c.post(reply) // an error means that the link has ended
	return events
}

// tooLarge tells a sender that its stanza is too large (RFC 6120, 8.3.3.12).
func tooLarge() *stanza.Element {
	return stanza.New(stanza.NSClient, "error", "type", "modify").With(stanza.New(stanza.NSStanzas, "policy-violation"))
}
