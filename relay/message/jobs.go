package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// kind is what a job in the outbox asks for.
type kind string

const (
	kindText    kind = "text"    // encrypt the message, unless it is, and send it
	kindReceipt kind = "receipt" // tell the customer's client
	kindAnswer  kind = "answer"  // complete a session that a device began
	kindRepair  kind = "repair"  // begin a new session with a device
	kindInspect kind = "inspect" // look at the identity key of a device that is new
	kindLost    kind = "lost"    // find what a device could not read
	kindAgain   kind = "again"   // send a message again, encrypted anew
	kindFirst   kind = "first"   // see whether a message that began a session was answered
	kindBounced kind = "bounced" // send a message again as it was, after it came back
	kindRefuse  kind = "refuse"  // tell the customer's client that its message was not accepted
)

// task is a job's body.
type task struct {
	Kind   kind   `json:"kind"`
	Stanza string `json:"stanza,omitempty"` // what a receipt or a refusal is about
	// Resource is that of the client which is told of a refusal.
	Resource string              `json:"resource,omitempty"`
	Refused  carrier.UnreadKind  `json:"refused,omitempty"` // why
	Receipt  carrier.ReceiptKind `json:"receipt,omitempty"`
	Typing   bool                `json:"typing,omitempty"`
	Device   carrier.DeviceID    `json:"device,omitempty"`
	Message  string              `json:"message,omitempty"` // to be sent again
	Bounce   int                 `json:"bounce,omitempty"`  // how often its message had come back when the job was made
	Since    time.Time           `json:"since,omitzero"`    // when the device could read last
	Until    time.Time           `json:"until,omitzero"`    // when its new session began; zero: not yet
}

// content is a message's body as it is stored.
type content struct {
	Text string `json:"text"`
	// Markable says that the customer's client handles read markers.
	Markable bool   `json:"markable,omitempty"`
	ReplyTo  string `json:"replyTo,omitempty"`
	// At is when a customer's message was sent.
	At time.Time `json:"at,omitzero"`
	// Whole is the hash of the customer's text of which this message is a part.
	Whole string `json:"whole,omitempty"`
	// Refused says why a customer's message was not read.
	Refused carrier.UnreadKind `json:"refused,omitempty"`
	// Mark is the id in the carrier's archive of what was not encrypted for us.
	Mark string `json:"mark,omitempty"`
	// Caption is what a customer wrote below a file.
	Caption string `json:"caption,omitempty"`
	// Media is the message's file.
	Media *attached `json:"media,omitempty"`
	// With is the id of the message that this one goes with.
	With string `json:"with,omitempty"`
	// Envelope is the message's ciphertext, from its encryption until the customer has
	// it or it failed: what is sent again because it came back is not encrypted twice.
	Envelope *carrier.Envelope `json:"envelope,omitempty"`
	// Sealed is when the message was last encrypted.
	Sealed time.Time `json:"sealed,omitzero"`
	// IdentityHash names the identity key that the message is for; empty for all.
	IdentityHash string `json:"identity,omitempty"`
	// For holds the devices that the message was encrypted for, with the names of
	// their identity keys: it is sent again to no other.
	For map[carrier.DeviceID]string `json:"for,omitempty"`
	// Resent is how often it was sent again.
	Resent int `json:"resent,omitempty"`
	// Bounces is how often it came back for the time being.
	Bounces int `json:"bounces,omitempty"`
	// Waits says that it came back and that the carrier does not have it again yet.
	Waits bool `json:"waits,omitempty"`
	// Going says that it is on its way again, and may come back once more.
	Going bool `json:"going,omitempty"`
}

// typeUnsupported is the type of a customer's message that could not be read.
const typeUnsupported = "unsupported"

// States of a message, in the store. Those of outgoing ones grow.
const (
	stateReceived  = "received"
	stateAccepted  = "accepted"
	stateSent      = "sent"
	stateDelivered = "delivered"
	stateRead      = "read"
	stateFailed    = "failed"
)

// enqueue adds a task to the outbox.
func (s *Service) enqueue(tx *store.Tx, c store.CustomerID, message string, t task) error {
	return s.enqueueAt(tx, c, message, t, s.Now())
}

func (s *Service) enqueueAt(tx *store.Tx, c store.CustomerID, message string, t task, at time.Time) error {
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	_, err = tx.Enqueue(store.Job{Queue: QueueOutbox, Customer: c, Message: message, NotBefore: at, Created: s.Now(), Body: body})
	return err
}

// notify queues a webhook whose payload is finished.
func (s *Service) notify(tx *store.Tx, c store.CustomerID, message string, payload []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = tx.Enqueue(store.Job{
		Queue: QueueWebhook, Customer: c, Message: message, NotBefore: s.Now(), Body: payload,
	})
	return err
}

// customer finds a customer or makes one. One whose row is damaged is known by the number.
func (s *Service) customer(tx *store.Tx, n phone.Number) (store.Customer, error) {
	c, err := tx.Customer(n)
	if errors.Is(err, seal.ErrTampered) {
		s.Log.LogAttrs(context.Background(), slog.LevelError, "a customer's row in the store was damaged and is written afresh")
		return tx.MendCustomer(n)
	}
	if isNotFound(err) {
		c = store.Customer{Number: n}
		err = tx.PutCustomer(&c)
	}
	return c, err
}

// order ranks the states of an outgoing message; it never goes back.
func order(state string) int {
	switch state {
	case stateSent:
		return 1
	case stateDelivered:
		return 2
	case stateRead:
		return 3
	case stateFailed:
		return 4
	}
	return 0
}

// eventOf is what to count when an outgoing message comes to a state.
func eventOf(state string) Event {
	switch state {
	case stateSent:
		return EventSent
	case stateDelivered:
		return EventDelivered
	case stateRead:
		return EventRead
	}
	return EventFailed
}

// advance moves an outgoing message on, which is written as it is given, and tells the
// business, unless it is that far already. The business always learns that it was sent
// before it learns that it was delivered, and that before it learns that it was read: the
// customer's receipt may overtake the carrier's acknowledgement, and some clients (Gajim,
// to those who are not on its contact list) send read markers and no receipts. What was
// delivered does not fail afterwards.
func (s *Service) advance(tx *store.Tx, c store.Customer, m store.Message, state string, at time.Time, errs ...webhook.Error) error {
	if order(state) <= order(m.State) || state == stateFailed && order(m.State) >= order(stateDelivered) {
		return nil
	}
	for _, implied := range []string{stateSent, stateDelivered} {
		if state == stateFailed || order(implied) <= order(m.State) || order(implied) >= order(state) {
			continue
		}
		if err := s.tell(tx, c, m, implied, at, nil); err != nil {
			return err
		}
	}
	if err := putState(tx, m, state, at); err != nil {
		return err
	}
	return s.tell(tx, c, m, state, at, errs)
}

// putState writes a message's state, and drops its ciphertext when nobody needs it any
// more.
func putState(tx *store.Tx, m store.Message, state string, at time.Time) error {
	m.State, m.Updated = state, at
	if state == stateSent {
		return tx.ReplaceMessage(m)
	}
	return putBody(tx, m, func(b *content) { b.Envelope = nil })
}

func (s *Service) tell(tx *store.Tx, c store.Customer, m store.Message, state string, at time.Time, errs []webhook.Error) error {
	if m.Type == typeCaption || m.Type == typeNotice {
		return nil // the business knows of the message that it goes with, or did not send it
	}
	s.counts.add(eventOf(state))
	payload, err := s.Webhook.StatusPayload(webhook.Status{
		ID: m.ID, State: webhook.State(state), Time: at, Recipient: c.Number, Opaque: m.Opaque, Errors: errs,
	})
	return s.notify(tx, c.ID, m.ID, payload, err)
}
