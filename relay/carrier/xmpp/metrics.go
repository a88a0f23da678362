package xmpp

import (
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Drop is why something that arrived was not passed on. Its values are constants of the
// program: fit for a metric's label.
type Drop = stanza.Drop

// Drops lists all reasons.
func Drops() []Drop { return stanza.Drops() }

// Metrics counts what happens on a link, without addresses or numbers. Implementations must
// be quick and safe for concurrent use.
type Metrics interface {
	// Dropped counts something that arrived and was not passed on, by the reason.
	Dropped(reason Drop)
	// Linked counts links that came up; resumed ones continue the previous one.
	Linked(resumed bool)
}

type noMetrics struct{}

func (noMetrics) Dropped(Drop) {}

func (noMetrics) Linked(bool) {}
