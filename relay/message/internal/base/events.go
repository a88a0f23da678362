package base

import (
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/relay/store"
)

// Event is something worth counting. Its values are fit for a metric's label.
type Event string

// The events.
const (
	EventReceived      Event = "received"       // a customer's message was stored
	EventReplayed      Event = "replayed"       // it was stored before, as the same ciphertext or another
	EventTooOld        Event = "too_old"        // refused: older than the retention
	EventUndecryptable Event = "undecryptable"  // it could not be opened
	EventNotForUs      Event = "not_for_us"     // it was not encrypted to us
	EventUntrusted     Event = "untrusted"      // from an identity that is not accepted
	EventNewDevice     Event = "new_device"     // a known customer came with a new device, which is accepted
	EventResent        Event = "resent"         // a message was sent again, into a new session
	EventPlaintext     Event = "plaintext"      // refused: it was not encrypted
	EventAccepted      Event = "accepted"       // the business's message was stored
	EventSent          Event = "sent"           // the carrier has it
	EventDelivered     Event = "delivered"      // the customer's device has it
	EventRead          Event = "read"           // the customer read it
	EventFailed        Event = "failed"         // it will not arrive
	EventBounced       Event = "bounced"        // it came back temporarily, and will be sent again
	EventIdentity      Event = "identity"       // a customer's device came with a new identity key
	EventForeignDevice Event = "foreign_device" // our account lists a device that is not ours
	EventRepaired      Event = "repaired"       // a new session was offered
	EventTyping        Event = "typing"         // a customer began to write
	EventBlocked       Event = "blocked"        // dropped: it came from a customer whom the business blocked
	EventReaction      Event = "reaction"       // a customer's reaction was noted
	EventRevoked       Event = "revoked"        // a customer took a message back
	EventUnmatched     Event = "unmatched"      // refused: a reaction or retraction that is about no known message, or too many
)

// Events lists all events.
func Events() []Event {
	return []Event{
		EventReceived, EventReplayed, EventTooOld, EventUndecryptable, EventNotForUs, EventUntrusted, EventNewDevice, EventResent,
		EventPlaintext, EventAccepted, EventSent, EventDelivered, EventRead, EventFailed, EventBounced, EventIdentity,
		EventForeignDevice, EventRepaired, EventTyping, EventBlocked, EventReaction, EventRevoked, EventUnmatched,
	}
}

// Counters counts events since the process started.
type Counters = Tally[Event]

// Tally counts by word.
type Tally[W ~string] struct {
	mu sync.Mutex
	n  map[W]int64
}

// Add counts a word once.
func (c *Tally[W]) Add(word W) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[W]int64{}
	}
	c.n[word]++
}

// Get returns how often a word was counted.
func (c *Tally[W]) Get(word W) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[word]
}

// OverQuota is something that was refused because its customer's quota is used up. Its values
// are fit for a metric's label.
type OverQuota string

// What is refused.
const (
	OverQuotaInbound  OverQuota = "inbound"  // a customer's message or file
	OverQuotaOutbound OverQuota = "outbound" // the business's, to the customer
)

// OverQuotas lists all values.
func OverQuotas() []OverQuota { return []OverQuota{OverQuotaInbound, OverQuotaOutbound} }

// OutQuota counts what the business cannot send because of the quota, and passes the
// error on.
func (s *Base) OutQuota(err error) error {
	if errors.Is(err, store.ErrQuota) {
		s.Quotas.Add(OverQuotaOutbound)
	}
	return err
}
