package xmpp

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// gotTyping is a chat state (XEP-0085) of a message that holds nothing else.
type gotTyping struct {
	from      phone.Number
	composing bool
}

func (e gotTyping) deliver(ctx context.Context, h carrier.Handler) error {
	if t, ok := h.(carrier.TypingHandler); ok {
		return t.Typing(ctx, e.from, e.composing)
	}
	return nil
}

// chatState reads a chat state. All but composing mean that nothing is being
// written.
func chatState(r *reading, e *element, peer phone.Number) {
	for _, c := range e.children {
		if c.name.Space != nsStates {
			continue
		}
		switch c.name.Local {
		case "composing":
			r.event(gotTyping{peer, true})
		case "active", "paused", "inactive", "gone":
			r.event(gotTyping{peer, false})
		default:
			continue
		}
		return
	}
}
