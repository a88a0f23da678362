package xmpp

import (
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// contacts are the peers whom we asked to become our contacts, and those who did.
type contacts struct {
	mu    sync.Mutex
	known map[phone.Number]carrier.ContactState // guarded by mu, without those of state none
}

func newContacts() *contacts { return &contacts{known: map[phone.Number]carrier.ContactState{}} }

func (cs *contacts) state(n phone.Number) carrier.ContactState {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.known[n]
}

// put notes a peer's state and returns the one before.
func (cs *contacts) put(n phone.Number, s carrier.ContactState) (before carrier.ContactState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	before = cs.known[n]
	if s == carrier.ContactNone {
		delete(cs.known, n)
	} else {
		cs.known[n] = s
	}
	return before
}

// ask notes that a peer is asked, and sends the request: the answer, which may arrive before send returns, then comes
// after what is noted. Of a request that may not have been sent nothing stays, so that it is made again.
func (cs *contacts) ask(n phone.Number, send func() error) error {
	before := cs.put(n, carrier.ContactAsked)
	err := send()
	if err != nil && cs.state(n) == carrier.ContactAsked {
		cs.put(n, before)
	}
	return err
}
