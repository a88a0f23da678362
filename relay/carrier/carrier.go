// Package carrier says what a carrier is to the relay: a network that forwards
// ciphertext between devices and tells which of them exist. It must not know
// what a Signal session is, nor ever see content: what it carries is already
// encrypted, and everything it hands over comes from a network that is not trusted.
package carrier

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Errors that a caller decides on. An implementation wraps them.
var (
	// ErrOffline means that there is no link now; the same call may succeed later.
	ErrOffline = errors.New("carrier: not connected")
	// ErrNotFound means that the peer publishes no such device list or bundle.
	ErrNotFound = errors.New("carrier: peer publishes no such item")
	// ErrRejected means that the carrier refused for good what was asked of it.
	ErrRejected = errors.New("carrier: request refused")
	// ErrUnconfirmed means that the link broke before the carrier acknowledged
	// what was sent: it may or may not have been delivered. Send the same bytes
	// under the same ID again.
	ErrUnconfirmed = errors.New("carrier: link lost before acknowledgement")
)

// DeviceID names one device of an account: 1 to 2^31-1 (XEP-0384 v0.3).
type DeviceID uint32

// PreKey is a public pre-key as its owner published it. It is not validated.
type PreKey struct {
	ID     uint32
	Public []byte // 33 bytes, the type byte 0x05 first, when it is well-formed
}

// Bundle is what a device publishes so that others can start a session with it.
// What a peer published is not validated.
type Bundle struct {
	IdentityKey  []byte // 33 bytes, the type byte 0x05 first, when it is well-formed
	SignedPreKey PreKey
	Signature    []byte   // 64 bytes over SignedPreKey.Public
	PreKeys      []PreKey // one-time pre-keys; 100 are customary, 20 the least (XEP-0384)
}

// Key is a Signal message for one device that holds the content key of an
// Envelope.
type Key struct {
	Device DeviceID
	PreKey bool // the Signal message starts a session
	Data   []byte
}

// Envelope is one encrypted message for all devices of a peer (XEP-0384 v0.3, the
// element "encrypted").
type Envelope struct {
	Sender  DeviceID
	Keys    []Key
	IV      []byte // 12 bytes; 16 are accepted
	Payload []byte // nil makes it a key transport message, without content
}

// Outgoing is an envelope on its way to a peer.
type Outgoing struct {
	// ID is the stanza's id: the peer's receipts and the carrier's bounces name it.
	// Sending again under the same ID with the same bytes is harmless.
	ID       string
	To       phone.Number
	Envelope Envelope
	// Receipts asks the peer's client for delivered and read receipts.
	Receipts bool
}

// Message is an envelope that arrived.
type Message struct {
	ID       string // chosen by the peer; may be empty, is never unique across peers
	From     phone.Number
	Envelope Envelope
	// Time is when the carrier says that it took the message (XEP-0203), or when
	// it arrived. It is the carrier's word.
	Time time.Time
	// WantsReceipt says that the peer asked for a delivery receipt (XEP-0184).
	WantsReceipt bool
	// WantsRead says that the peer's client handles read markers (XEP-0333).
	WantsRead bool
}

// ReceiptKind is what became of an outgoing message.
type ReceiptKind string

// The kinds of receipt.
const (
	Delivered ReceiptKind = "delivered" // XEP-0184
	Read      ReceiptKind = "read"      // XEP-0333 displayed; covers all earlier ones
)

// Receipt is a peer's word on a message that it was sent.
type Receipt struct {
	From phone.Number
	ID   string // of the Outgoing
	Kind ReceiptKind
}

// Bounce is the carrier's word that an outgoing message came back undelivered.
type Bounce struct {
	To phone.Number
	ID string // of the Outgoing
	// Temporary says that the same message may be taken later.
	Temporary bool
	// Doubtful says that the peer may have the message nevertheless: servers return
	// what a session that ended had not acknowledged, received or not.
	Doubtful bool
}

// Handler takes what a carrier receives. Its methods are called one after
// another in the order of arrival. Returning nil from Message means that the
// message is stored durably: only then is it acknowledged to the carrier. An
// error means it is not; the link is given up and the message will come again.
type Handler interface {
	Message(ctx context.Context, m Message) error
	Receipt(ctx context.Context, r Receipt) error
	// Bounced says that the carrier returned an outgoing message undelivered. It may
	// come before the carrier acknowledged the message, and more than once.
	Bounced(ctx context.Context, b Bounce) error
	// Devices says that a peer's device list changed, or arrived.
	Devices(ctx context.Context, peer phone.Number, devices []DeviceID) error
	// OwnDevices says which devices our own account lists now: any but our own is
	// an alarm.
	OwnDevices(ctx context.Context, devices []DeviceID) error
	// Unread says that a peer wrote something that is no envelope which can be opened.
	// Returning nil means what it means for Message.
	Unread(ctx context.Context, u Unread) error
	// Connected is called each time that the link is up and before anything else
	// arrives on it; resumed says that the carrier remembers the previous one, so
	// that nothing needs to be published again.
	Connected(ctx context.Context, resumed bool) error
}

// Grouper is a Handler that can take several things in one go.
type Grouper interface {
	Handler
	// Group calls fn with a Handler whose methods may return before what they were
	// given is stored. It returns nil when all of it is; an error means that some of
	// it is not.
	Group(ctx context.Context, fn func(Handler) error) error
}

// State is the link's state.
type State string

// The states of a link.
const (
	Connecting   State = "Connecting"
	Online       State = "Online"
	Disconnected State = "Disconnected" // and trying again
	Refused      State = "Refused"      // the carrier refuses the account; trying again, slowly
)

// Status is the link's state and, when it is not Online, why, in words that are
// fit for a condition: no addresses of customers, no text of the server's.
type Status struct {
	State  State
	Reason string // CamelCase, for a condition's reason
	Detail string
	Since  time.Time
}

// Carrier is a link to a carrier for one account. Its methods are safe for
// concurrent use; those that talk to the carrier return ErrOffline when there is
// no link.
type Carrier interface {
	// Run connects and keeps reconnecting until ctx ends, and hands what arrives
	// to h. It returns ctx's error, or an error that no retry mends.
	Run(ctx context.Context, h Handler) error
	Status() Status

	PublishDevices(ctx context.Context, devices []DeviceID) error
	PublishBundle(ctx context.Context, device DeviceID, b Bundle) error
	// Devices fetches the peer's device list. ErrNotFound when it has none.
	Devices(ctx context.Context, peer phone.Number) ([]DeviceID, error)
	Bundle(ctx context.Context, peer phone.Number, device DeviceID) (Bundle, error)

	// Send returns nil once the carrier acknowledged the message (status "sent"),
	// ErrUnconfirmed when the link broke before, ErrOffline when there was none.
	Send(ctx context.Context, o Outgoing) error
	// SendReceipt tells a peer that its message was delivered or read, or one after the
	// other.
	SendReceipt(ctx context.Context, to phone.Number, id string, kinds ...ReceiptKind) error
	// Refuse tells a peer's client, at the resource that an Unread came from, that its
	// message was not accepted.
	Refuse(ctx context.Context, to phone.Number, resource, id string) error
	// SendTyping shows or ends "is typing" at the peer (XEP-0085).
	SendTyping(ctx context.Context, to phone.Number, composing bool) error
}
