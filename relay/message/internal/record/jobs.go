package record

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Kind is what a job in the outbox asks for.
type Kind string

// The kinds.
const (
	KindText     Kind = "text"     // encrypt the message, unless it is, and send it
	KindReceipt  Kind = "receipt"  // tell the customer's client
	KindAnswer   Kind = "answer"   // complete a session that a device began, or let its ratchet turn
	KindRepair   Kind = "repair"   // begin a new session with a device
	KindInspect  Kind = "inspect"  // look at the identity key of a device that is new
	KindLost     Kind = "lost"     // find what a device could not read
	KindAgain    Kind = "again"    // encrypt a message once more and send it again
	KindFirst    Kind = "first"    // see whether a message that began a session was answered
	KindNotRead  Kind = "notRead"  // the customer could not read what began a session
	KindProven   Kind = "proven"   // a device answered in a session that we began
	KindAnswered Kind = "answered" // a customer's encrypted message answers this one
	KindBounced  Kind = "bounced"  // send a message again as it was, after it came back
	KindRefuse   Kind = "refuse"   // tell the customer's client that its message was not accepted
	KindName     Kind = "name"     // fetch the name that the customer gives themselves

	KindReaction Kind = "reaction" // send a reaction, in clear or as an encrypted text
)

// Task is a job's body.
type Task struct {
	Kind   Kind   `json:"kind"`
	Stanza string `json:"stanza,omitempty"` // what a receipt or a refusal is about
	// Resource is that of the client that is told about a refusal.
	Resource string              `json:"resource,omitempty"`
	Refused  carrier.UnreadKind  `json:"refused,omitempty"` // why
	Receipt  carrier.ReceiptKind `json:"receipt,omitempty"`
	Typing   bool                `json:"typing,omitempty"`
	Device   carrier.DeviceID    `json:"device,omitempty"`
	Format   carrier.Format      `json:"format,omitempty"`  // in which the device is answered or offered a session
	Message  string              `json:"message,omitempty"` // to send again, or answered
	Bounce   int                 `json:"bounce,omitempty"`  // how often its message had come back when the job was made
	Since    time.Time           `json:"since,omitzero"`    // when the device could read last
	Until    time.Time           `json:"until,omitzero"`    // when its new session began; zero: not yet
	// Place is the job's place, from 1, among those that wait, or waited, for the customer's
	// answer to a contact request; 0 when it does not.
	Place int `json:"place,omitempty"`
}

// Content is a message's body as it is stored.
type Content struct {
	Text string `json:"text"`
	// ToUser says that the business sent the message to the customer's user id, and not to a number.
	ToUser bool `json:"toUser,omitempty"`
	// Markable says that the customer's client handles read markers.
	Markable bool `json:"markable,omitempty"`
	// ReplyTo is the id of the message that this one answers. Of a customer's message,
	// ReplyOwn says that it answers a message of their own, and ReplyClear that the carrier
	// could have written that it is an answer.
	ReplyTo    string `json:"replyTo,omitempty"`
	ReplyOwn   bool   `json:"replyOwn,omitempty"`
	ReplyClear bool   `json:"replyClear,omitempty"`
	// Quoted is how many characters of the business's message, as it was encrypted last,
	// quote the answered one. The quote itself is not stored: it would outlive its message.
	Quoted int `json:"quoted,omitempty"`
	// Corrects is the id of the customer's message that this one replaces; CorrectsClear says
	// that the carrier could have written that.
	Corrects      string `json:"corrects,omitempty"`
	CorrectsClear bool   `json:"correctsClear,omitempty"`
	// Choices are the answers that the business's message offers; ChoiceKind is how the webhook
	// of an answer names them.
	Choices    []rich.Choice `json:"choices,omitempty"`
	ChoiceKind string        `json:"choiceKind,omitempty"`
	// Chosen is the offered answer that the customer's text is; nil for none. ReplyTo names the
	// message that offered it.
	Chosen *webhook.Chosen `json:"chosen,omitempty"`
	// Place is the place that the customer's text is; nil for any other text.
	Place *rich.Place `json:"place,omitempty"`
	// Reaction is the customer's reaction to this message; nil when there never was one.
	Reaction *Reaction `json:"reaction,omitempty"`
	// Revoked says that the customer took the message back, or that the carrier says so;
	// RevokedInside that the customer said it inside the encryption.
	Revoked       bool `json:"revoked,omitempty"`
	RevokedInside bool `json:"revokedInside,omitempty"`
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
	Media *Attached `json:"media,omitempty"`
	// With is the id of the message that this one goes with.
	With string `json:"with,omitempty"`
	// Envelope is the message's ciphertext, from its encryption until the customer has it or
	// it failed: a message that came back is sent again without being encrypted twice.
	Envelope *carrier.Envelope `json:"envelope,omitempty"`
	// Other is the same for the devices that are written to in the other format; nil for none.
	Other *carrier.Envelope `json:"other,omitempty"`
	// Sealed is when the message was last encrypted.
	Sealed time.Time `json:"sealed,omitzero"`
	// Failure says why the business's message failed; empty when it did not, or an earlier relay wrote it.
	Failure string `json:"failure,omitempty"`
	// IdentityHash names the identity key that the message is for; empty for all.
	IdentityHash string `json:"identity,omitempty"`
	// For holds the devices that the message was encrypted for, with the hashes of their
	// identity keys: it is sent again to no other.
	For map[carrier.DeviceID]string `json:"for,omitempty"`
	// Unproven says that the message was encrypted only in sessions that we began and in which
	// nothing has come back: a receipt then proves that it arrived, not that it could be read.
	Unproven bool `json:"unproven,omitempty"`
	// Resent is how often it was sent again.
	Resent int `json:"resent,omitempty"`
	// Bounces is how often it came back temporarily.
	Bounces int `json:"bounces,omitempty"`
	// Waits says that it came back and the carrier does not have it again yet.
	Waits bool `json:"waits,omitempty"`
	// Going says that it is being sent again, and may come back once more.
	Going bool `json:"going,omitempty"`
	// Confirm is not stored here but with the message's webhook: the receipt that follows from that.
	Confirm Confirm `json:"-"`
	// Life is the message's, and Borrowed that of what Own leaves out.
	Life     store.Life `json:"-"`
	Borrowed store.Life `json:"-"`
}

// Reaction is a customer's latest reaction to a message.
type Reaction struct {
	Emoji  string    `json:"emoji,omitempty"` // empty when it was removed
	At     time.Time `json:"at,omitzero"`
	Inside bool      `json:"inside,omitempty"` // it stood inside the encryption
	// InsideAt is when the latest one inside the encryption was sent, if this one is in clear.
	InsideAt time.Time `json:"insideAt,omitzero"`
}

// LastInside is when the latest reaction inside the encryption was sent; zero for none.
func (r Reaction) LastInside() time.Time {
	if r.Inside {
		return r.At
	}
	return r.InsideAt
}

// TypeEdit is the type of a customer's message that replaces an earlier one.
const TypeEdit = "edit"

// TypeReaction is the type of the business's reaction to a message.
const TypeReaction = "reaction"

// TypeUnsupported is the type of a customer's message that could not be read.
const TypeUnsupported = "unsupported"

// States of a message, in the store. Those of outgoing ones grow.
const (
	StateReceived  = "received"
	StateAccepted  = "accepted"
	StateSent      = "sent"
	StateDelivered = "delivered"
	StateRead      = "read"
	StateFailed    = "failed"
)

// ArrivedFile is a download job's body: what the webhook will say about the message apart
// from the file.
type ArrivedFile struct {
	Time     time.Time `json:"time"`
	Identity string    `json:"identity,omitempty"` // hash of the sender's identity key
	Resource string    `json:"resource,omitempty"` // of the sender's client
	Confirm  Confirm   `json:"confirm,omitzero"`   // the receipt that follows from the webhook
}
