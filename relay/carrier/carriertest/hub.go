// Package carriertest is a carrier in memory, for tests of packages that use a carrier. It
// must not know what its messages hold or which of its accounts is a relay.
package carriertest

import (
	"slices"
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Hub is a carrier network in memory. What is sent waits in the recipient's inbox until the
// recipient's handler has received it.
type Hub struct {
	mu      sync.Mutex // guards the following fields
	inboxes map[phone.Number]*inbox
	typing  []bool // the typing notices that were sent, in order
	// contacts says who was asked to become whose contact, and what they answered.
	contacts map[pair]carrier.ContactState

	// The following fields say what is published and how the carrier behaves. Tests read and
	// set them inside Change.

	Lists   map[phone.Number][]carrier.DeviceID
	Bundles map[phone.Number]map[carrier.DeviceID]carrier.Bundle
	// Nicknames are those that people publish.
	Nicknames map[phone.Number]string
	// Lists2 and Bundles2 are those of OMEMO2.
	Lists2   map[phone.Number][]carrier.DeviceID
	Bundles2 map[phone.Number]map[carrier.DeviceID]carrier.Bundle
	// Tamper changes messages on their way.
	Tamper func(to phone.Number, m carrier.Message) carrier.Message
	Muted  bool // receipts get lost
	Silent bool // so do messages without content
	Pushes bool // device lists go to everybody when they change, as PEP does for friends
	// Cuts says whether a link breaks before it reports what its handler received; nil means
	// never.
	Cuts func(to phone.Number) bool
	// Reconnects says that a link comes up again by itself after a Send that failed because
	// there was none.
	Reconnects bool
	// Hidden are the numbers that show what they publish only to their contacts.
	Hidden map[phone.Number]bool
	// Busy is how many publications of each new Carrier fail.
	Busy int
}

type inbox struct {
	events []carrier.Event // that no link had yet
	taken  int             // how many were had
	wake   chan struct{}
}

// NewHub returns a carrier without accounts.
func NewHub() *Hub {
	return &Hub{
		Lists:    map[phone.Number][]carrier.DeviceID{},
		Bundles:  map[phone.Number]map[carrier.DeviceID]carrier.Bundle{},
		Lists2:   map[phone.Number][]carrier.DeviceID{},
		Bundles2: map[phone.Number]map[carrier.DeviceID]carrier.Bundle{},
		Hidden:   map[phone.Number]bool{},
		inboxes:  map[phone.Number]*inbox{}, contacts: map[pair]carrier.ContactState{},
	}
}

// Change changes how the hub behaves.
func (h *Hub) Change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Devices returns a number's published device list.
func (h *Hub) Devices(n phone.Number) []carrier.DeviceID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.Lists[n])
}

// Bundle returns a published bundle.
func (h *Hub) Bundle(n phone.Number, d carrier.DeviceID) carrier.Bundle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Bundles[n][d]
}

// Typed returns the typing notices that were sent.
func (h *Hub) Typed() []bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.typing)
}

// inbox returns a number's inbox. The caller holds mu.
func (h *Hub) inbox(n phone.Number) *inbox {
	if h.inboxes[n] == nil {
		h.inboxes[n] = &inbox{wake: make(chan struct{}, 1)}
	}
	return h.inboxes[n]
}

// Deliver puts an event into an inbox.
func (h *Hub) Deliver(to phone.Number, ev carrier.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	in := h.inbox(to)
	in.events = append(in.events, ev)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// Carrier returns a new Carrier of an account.
func (h *Hub) Carrier(n phone.Number) *Carrier {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &Carrier{hub: h, own: n, busy: h.Busy}
}

// published returns what is published in a format. The caller holds mu.
func (h *Hub) published(f carrier.Format) (map[phone.Number][]carrier.DeviceID, map[phone.Number]map[carrier.DeviceID]carrier.Bundle) {
	if f == carrier.OMEMO2 {
		return h.Lists2, h.Bundles2
	}
	return h.Lists, h.Bundles
}

// publish replaces a number's device list, and returns whom to push it to.
func (h *Hub) publish(own phone.Number, f carrier.Format, devices []carrier.DeviceID) (others []phone.Number) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lists, _ := h.published(f)
	changed := !slices.Equal(lists[own], devices)
	lists[own] = slices.Clone(devices)
	for n := range h.inboxes {
		if n != own && changed && h.Pushes {
			others = append(others, n)
		}
	}
	return others
}
