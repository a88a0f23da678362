package stanza

import (
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// chatState reads a chat state. Every state but composing means that the peer is not
// writing.
func chatState(r *Reading, e *Element, peer phone.Number) {
	for _, c := range e.Children {
		if c.Name.Space != NSStates {
			continue
		}
		switch c.Name.Local {
		case "composing":
			r.Event(carrier.Typing{From: peer, Composing: true})
		case "active", "paused", "inactive", "gone":
			r.Event(carrier.Typing{From: peer})
		default:
			continue
		}
		return
	}
}
