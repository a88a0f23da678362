package carrier

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// TypingHandler is a Handler that also wants to know who is typing (XEP-0085).
// Nobody keeps these notices and a peer may send them at will: they may be late, be
// missing or never end.
type TypingHandler interface {
	Handler
	// Typing says that a peer began or stopped writing.
	Typing(ctx context.Context, from phone.Number, composing bool) error
}
