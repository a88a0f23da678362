package outbound

import (
	"maps"
	"sync"

	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Bounds of what is encrypted before its turn: of one customer's messages, so that a change of their devices concerns
// few; and of all customers', so that each is still in memory in its turn.
const (
	maxAheadOf = 32
	maxAhead   = 4 << 10
)

// ahead remembers messages that were encrypted in the transaction that accepted them, so that sending one reads
// nothing, and which of those that wait are encrypted. It may forget any of them: the store has all that is in here.
//
// Messages are encrypted in the order in which they are sent. A ciphertext belongs to a turn of its session, and
// clients keep the keys of a few former turns only: one that others overtook, each of which the customer answered, could
// not be opened.
type ahead struct {
	mu        sync.Mutex // guards the following fields
	messages  map[string]readyMessage
	encrypted map[string]struct{}
}

// readyMessage is a message to send as it is.
type readyMessage struct {
	id, carrierID string
	customer      store.Customer
	sealed        peers.Sealed
}

// room says whether one more message may be encrypted ahead.
func (a *ahead) room() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.messages) < maxAhead
}

// put adds a message.
func (a *ahead) put(r readyMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.messages == nil {
		a.messages = map[string]readyMessage{}
	}
	a.messages[r.id] = r
	a.note(r.id)
}

// inTurn notes that a message was encrypted in its turn.
func (a *ahead) inTurn(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(id)
}

// note notes that a message is encrypted. The caller holds mu.
func (a *ahead) note(id string) {
	if a.encrypted == nil || len(a.encrypted) == 2*maxAhead {
		a.encrypted = map[string]struct{}{}
	}
	a.encrypted[id] = struct{}{}
}

// sealed says whether all of some messages are known to be encrypted. A job without a message, such as a read mark or an
// answer to a new session, counts as not encrypted: some of them are, in their turn.
func (a *ahead) sealed(ids []string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if _, ok := a.encrypted[id]; !ok {
			return false
		}
	}
	return true
}

// take removes a message that is about to be sent.
func (a *ahead) take(id string) (r readyMessage, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok = a.messages[id]
	delete(a.messages, id)
	return r, ok
}

// ended forgets a message that does not wait any more.
func (a *ahead) ended(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.messages, id)
	delete(a.encrypted, id)
}

// forget removes a customer's messages.
func (a *ahead) forget(c store.CustomerID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.messages, func(id string, r readyMessage) bool {
		if r.customer.ID == c {
			delete(a.encrypted, id)
		}
		return r.customer.ID == c
	})
}
