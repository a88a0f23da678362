// Package carrier defines what a carrier is to the relay: a network that forwards
// ciphertext between devices and tells which devices exist. It must not know what a Signal
// session is and never sees content: what it carries is encrypted already. Everything that
// arrives comes from a network that is not trusted.
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
	// ErrHidden means that the carrier does not let us see the peer's item: the peer shows it
	// only to contacts. Contact asks the peer to become one. Some servers say the same of
	// items and accounts that do not exist.
	ErrHidden = errors.New("carrier: peer shows the item only to its contacts")
	// ErrNoAccount means that the carrier says that the peer has no account. An error that
	// wraps it wraps ErrNotFound, too.
	ErrNoAccount = errors.New("carrier: peer has no account")
	// ErrRejected means that the carrier refused the request for good.
	ErrRejected = errors.New("carrier: request refused")
	// ErrUnconfirmed means that the link broke before the carrier acknowledged
	// what was sent: it may or may not have arrived. Send the same bytes again under the
	// same ID.
	ErrUnconfirmed = errors.New("carrier: link lost before acknowledgement")
)

// Format is a version of OMEMO. A device that knows both has one id, one identity key and one set of
// one-time pre-keys, which it publishes in both.
type Format uint8

// The formats.
const (
	Legacy Format = iota // eu.siacs.conversations.axolotl (XEP-0384 v0.3)
	OMEMO2               // urn:xmpp:omemo:2 (XEP-0384 v0.9)
)

// Formats returns all formats.
func Formats() []Format { return []Format{Legacy, OMEMO2} }

// DeviceID names one device of an account: 1 to 2^31-1 (XEP-0384 v0.3).
type DeviceID uint32

// PreKey is a public pre-key as its owner published it. It is not validated.
type PreKey struct {
	ID     uint32
	Public []byte // when it is well-formed: 33 bytes, the type byte 0x05 first; in OMEMO2 32, without it
}

// Bundle is what a device publishes so that others can start a session with it. A peer's
// bundle is not validated.
type Bundle struct {
	Format       Format
	IdentityKey  []byte // when it is well-formed: 33 bytes, the type byte 0x05 first; in OMEMO2 its Ed25519 form, 32
	SignedPreKey PreKey
	Signature    []byte   // 64 bytes over SignedPreKey.Public
	PreKeys      []PreKey // one-time pre-keys; usually 100, at least 20 (XEP-0384)
}

// Key is a Signal message for one device that holds the content key of an
// Envelope.
type Key struct {
	Device DeviceID
	PreKey bool // the Signal message starts a session
	Data   []byte
}

// Envelope is one encrypted message for all devices of a peer that read its format (the element
// "encrypted").
type Envelope struct {
	Format  Format `json:",omitempty"`
	Sender  DeviceID
	Keys    []Key
	IV      []byte // 12 bytes; 16 are accepted; none in OMEMO2
	Payload []byte // nil for a key transport message, which has no content
}

// Second returns the second of a message's envelopes, nil when there is none.
func Second(envelopes []Envelope) *Envelope {
	if len(envelopes) < 2 {
		return nil
	}
	return &envelopes[1]
}

// Outgoing is an envelope on its way to a peer.
type Outgoing struct {
	// ID is the stanza's id, which the peer's receipts and the carrier's bounces name.
	// Sending the same bytes again under the same ID is harmless.
	ID       string
	To       phone.Number
	Envelope Envelope
	// Other is the same message for the peer's devices that read the other format; nil for none.
	Other *Envelope
	// Receipts asks the peer's client for delivered and read receipts.
	Receipts bool
	// References go outside the encryption.
	References References
}

// State is the link's state.
type State string

// The states of a link.
const (
	Connecting   State = "Connecting"
	Online       State = "Online"
	Disconnected State = "Disconnected" // trying again
	Refused      State = "Refused"      // the carrier refuses the account; trying again, slowly
)

// States lists all states of a link.
func States() []State { return []State{Connecting, Online, Disconnected, Refused} }

// Status is the link's state and, when it is not Online, the reason. Its words are fit for
// a condition: no customer's address and no text from the server.
type Status struct {
	State  State
	Reason string // CamelCase, for a condition's reason
	Detail string
	Since  time.Time
}

// Carrier keeps one account connected to a carrier. Its methods are safe for concurrent
// use; those that talk to the carrier return ErrOffline when there is no link.
type Carrier interface {
	// Run connects and keeps reconnecting until ctx ends. What arrives goes to h. It returns
	// ctx's error, or an error that retrying does not mend.
	Run(ctx context.Context, h Handler) error
	Status() Status

	PublishDevices(ctx context.Context, f Format, devices []DeviceID) error
	PublishBundle(ctx context.Context, device DeviceID, b Bundle) error
	// Devices fetches the peer's device list. It returns ErrNotFound when there is none, and
	// ErrHidden when only contacts may see it.
	Devices(ctx context.Context, peer phone.Number, f Format) ([]DeviceID, error)
	// Bundle fetches a device's bundle, with the same errors.
	Bundle(ctx context.Context, peer phone.Number, device DeviceID, f Format) (Bundle, error)
	// Contact returns whether the peer lets us see what it shows only to contacts. If it has
	// not been asked and ask is true, Contact asks it. The answer comes as a ContactAnswer.
	// ErrNoAccount means that there is nobody to ask.
	Contact(ctx context.Context, peer phone.Number, ask bool) (ContactState, error)

	// Nickname fetches the name that the peer gives themselves, one line of at most 100
	// characters, or returns ErrNotFound. It is the carrier's word: nothing vouches for it.
	Nickname(ctx context.Context, peer phone.Number) (string, error)

	// Send returns nil once the carrier has acknowledged the message (status "sent"),
	// ErrUnconfirmed when the link broke before that, and ErrOffline when there was no link.
	Send(ctx context.Context, o Outgoing) error
	// SendReceipts tells peers, one after another, what became of their messages, and returns what Send returns once the
	// carrier has acknowledged the last. A receipt that cannot be written, for a message without an id or with one that is
	// longer than the carrier takes, is left out.
	SendReceipts(ctx context.Context, receipts ...OutgoingReceipt) error
	// SendReaction sends a reaction, which is not encrypted. It returns what Send returns.
	SendReaction(ctx context.Context, r OutgoingReaction) error
	// Refuse tells a peer's client that its message was not accepted, and why.
	Refuse(ctx context.Context, to phone.Number, r Refusal) error
	// SendTyping shows the peer that we are typing, or that we stopped (XEP-0085).
	SendTyping(ctx context.Context, to phone.Number, composing bool) error
}
