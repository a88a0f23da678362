package xmpp

import (
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// chatState reads a chat state. All but composing mean that nothing is being
// written.
func chatState(r *reading, e *element, peer phone.Number) {
	for _, c := range e.children {
		if c.name.Space != nsStates {
			continue
		}
		switch c.name.Local {
		case "composing":
			r.event(carrier.Typing{From: peer, Composing: true})
		case "active", "paused", "inactive", "gone":
			r.event(carrier.Typing{From: peer})
		default:
			continue
		}
		return
	}
}
