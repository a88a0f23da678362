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
	// Run connects and keeps reconnecting until ctx ends, and hands the events to h.
	// It returns ctx's error, or an error that no retry mends.
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
	// Refuse tells a peer's client that a message of its was not accepted, and why.
	Refuse(ctx context.Context, to phone.Number, r Refusal) error
	// SendTyping shows or ends "is typing" at the peer (XEP-0085).
	SendTyping(ctx context.Context, to phone.Number, composing bool) error
}
