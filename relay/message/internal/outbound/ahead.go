package outbound

import (
	"maps"
	"sync"

	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Bounds of what is encrypted before its turn. Of one customer's messages few are, so that a change of their
// devices concerns few, and so that those that were accepted before and are encrypted later are not many: their
// clients keep the keys of messages that were passed over. Those in memory are bounded in all.
const (
	maxAheadOf = 32
	maxAhead   = 4 << 10
)

// ahead remembers messages that were encrypted in the transaction that accepted them, so that sending one reads
// nothing. It may forget any of them: the store has all that is in here.
type ahead struct {
	mu       sync.Mutex // guards the following fields
	messages map[string]readyMessage
	order    []string // ids as they came; some may be gone
}

// readyMessage is a message to send as it is.
type readyMessage struct {
	id, carrierID string
	customer      store.Customer
	sealed        peers.Sealed
}

// put adds a message; the one that has waited longest is forgotten when there are too many.
func (a *ahead) put(r readyMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.messages == nil {
		a.messages = map[string]readyMessage{}
	}
	if len(a.order) == maxAhead {
		delete(a.messages, a.order[0])
		a.order = a.order[1:]
	}
	a.messages[r.id] = r
	a.order = append(a.order, r.id)
}

// take removes a message.
func (a *ahead) take(id string) (r readyMessage, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok = a.messages[id]
	delete(a.messages, id)
	if len(a.messages) == 0 {
		a.order = nil
	}
	return r, ok
}

// forget removes a customer's messages.
func (a *ahead) forget(c store.CustomerID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.messages, func(_ string, r readyMessage) bool { return r.customer.ID == c })
}
