package carrier

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Event is what a carrier hands to its Handler: something that arrived (Message, Unread,
// Receipt, Bounce, DeviceList, OwnDeviceList, Typing) or that happened to the link
// (Connected, CaughtUp). Everything in it comes from a network that is not trusted.
type Event interface{ isEvent() }

// Message is an envelope that arrived.
type Message struct {
	ID       string // chosen by the peer; may be empty, is never unique across peers
	From     phone.Number
	Resource string // of the peer's client, for Refuse; may be empty
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

// Bounce is the carrier's word that an outgoing message came back undelivered. It may
// arrive before the carrier acknowledged the message, and more than once.
type Bounce struct {
	To phone.Number
	ID string // of the Outgoing
	// Temporary says that the same message may be taken later.
	Temporary bool
	// Doubtful says that the peer may have the message nevertheless: servers return
	// what a session that ended had not acknowledged, received or not.
	Doubtful bool
}

// DeviceList says that a peer's device list changed, or arrived.
type DeviceList struct {
	Peer    phone.Number
	Devices []DeviceID
}

// OwnDeviceList says which devices our own account lists now: any but our own is an
// alarm.
type OwnDeviceList struct{ Devices []DeviceID }

// Typing says that a peer began or stopped writing (XEP-0085). Nobody keeps these
// notices and a peer may send them at will: they may be late, be missing or never end.
type Typing struct {
	From      phone.Number
	Composing bool
}

// Connected says that the link is up. It comes each time, before anything else that
// arrives on the link.
type Connected struct {
	// Resumed says that the carrier remembers the previous link, so that nothing needs
	// to be published again.
	Resumed bool
}

// CaughtUp says that everything came which the carrier had kept until the link that
// Connected last told of was up, from its archive, too. A link that is resumed has
// caught up as far as the one before it had.
type CaughtUp struct{}

func (Message) isEvent()       {}
func (Unread) isEvent()        {}
func (Receipt) isEvent()       {}
func (Bounce) isEvent()        {}
func (DeviceList) isEvent()    {}
func (OwnDeviceList) isEvent() {}
func (Typing) isEvent()        {}
func (Connected) isEvent()     {}
func (CaughtUp) isEvent()      {}
