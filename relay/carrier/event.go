package carrier

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Event is what a carrier's Handler receives: something that arrived (Message, Unread, Reaction,
// Retraction, Receipt, Bounce, DeviceList, OwnDeviceList, Typing, ContactAnswer, Report) or that happened
// to the link (Connected, CaughtUp). Everything in it comes from a network that is not trusted.
type Event interface{ isEvent() }

// Message is an envelope that arrived.
type Message struct {
	ID       string // chosen by the peer; may be empty, is never unique across peers
	From     phone.Number
	Resource string // of the peer's client, for Refuse; may be empty
	Envelope Envelope
	// Other is the envelope in the other format, of a message that has both; nil for none.
	Other *Envelope
	// Time is when the carrier's server got the message (XEP-0203), or when it arrived
	// here. We have only the carrier's word for it.
	Time time.Time
	// WantsReceipt says that the peer asked for a delivery receipt (XEP-0184).
	WantsReceipt bool
	// WantsRead says that the peer's client handles read markers (XEP-0333).
	WantsRead bool
	// References stands outside the encryption. So do Reaction and Retraction, which are nil for none.
	// Only beside an envelope of OMEMO2 do these two come with the message: what its content says of the
	// same kind counts instead.
	References References
	Reaction   *Reaction
	Retraction *Retraction
	// Files describes, outside the encryption, the files that the text names.
	Files []SharedFile
	// Nickname is the name that the peer gives themselves (XEP-0172), one line of at most 100
	// characters; usually empty. It stands outside the encryption.
	Nickname string
}

// ReceiptKind is what became of an outgoing message.
type ReceiptKind string

// The kinds of receipt.
const (
	Delivered ReceiptKind = "delivered" // XEP-0184
	Read      ReceiptKind = "read"      // XEP-0333 displayed; covers all earlier ones
	// Unreadable is a receipt in a message of the type error: the peer's client got the message
	// and could not decrypt it. It is received, never sent.
	Unreadable ReceiptKind = "unreadable"
)

// Receipt is what a peer says about a message that we sent it.
type Receipt struct {
	From phone.Number
	ID   string // of the Outgoing
	Kind ReceiptKind
}

// OutgoingReceipt is what we say about a message that a peer sent us.
type OutgoingReceipt struct {
	To   phone.Number
	ID   string // of the peer's message
	Kind ReceiptKind
}

// Bounce says that the carrier returned an outgoing message undelivered. It may arrive
// before the carrier acknowledged the message, and more than once.
type Bounce struct {
	To phone.Number
	ID string // of the Outgoing
	// Temporary says that the same message may be accepted later.
	Temporary bool
	// Doubtful says that the peer may have the message all the same: servers return
	// what a client had not acknowledged when its stream ended, whether it got it or not.
	Doubtful bool
}

// DeviceList says that a peer's device list changed, or arrived.
type DeviceList struct {
	Peer    phone.Number
	Format  Format
	Devices []DeviceID
}

// OwnDeviceList says which devices our own account lists now. Any device but our own is
// an alarm.
type OwnDeviceList struct {
	Format  Format
	Devices []DeviceID
}

// Typing says that a peer began or stopped writing (XEP-0085). Nobody stores these
// notices and a peer sends them as it likes: they may be late or missing, or never end.
type Typing struct {
	From      phone.Number
	Composing bool
}

// Report says that somebody reported us as sending spam, and that the carrier forwards that. Who it was is not said. It may
// arrive more than once.
type Report struct {
	ID string // chosen by the carrier; empty if it gave none
}

// Connected says that the link is up. It comes each time, before anything else that
// arrives on the link.
type Connected struct {
	// Resumed says that the carrier remembers the previous link, so that nothing needs
	// to be published again.
	Resumed bool
}

// CaughtUp says that everything has arrived that the carrier had kept, its archive
// included, until the last Connected. A resumed link has caught up as far as the link
// before it had.
type CaughtUp struct{}

func (ContactAnswer) isEvent() {}
func (Message) isEvent()       {}
func (Unread) isEvent()        {}
func (Reaction) isEvent()      {}
func (Retraction) isEvent()    {}
func (Receipt) isEvent()       {}
func (Bounce) isEvent()        {}
func (DeviceList) isEvent()    {}
func (OwnDeviceList) isEvent() {}
func (Typing) isEvent()        {}
func (Report) isEvent()        {}
func (Connected) isEvent()     {}
func (CaughtUp) isEvent()      {}
