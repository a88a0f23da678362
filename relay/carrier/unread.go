package carrier

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// UnreadKind says why a message could not be read by the carrier.
type UnreadKind string

// The kinds.
const (
	InClear           UnreadKind = "in_clear"           // it is not encrypted
	ForeignEncryption UnreadKind = "foreign_encryption" // it is encrypted, but not as we read it
	Malformed         UnreadKind = "malformed"          // it breaks the format of an Envelope
	TooLarge          UnreadKind = "too_large"          // it is larger than what is kept to be read
	OverQuota         UnreadKind = "over_quota"         // too much is kept of its sender already
)

// Unread is a message with content that arrived and holds no Envelope. Everything in it
// is the peer's word.
type Unread struct {
	ID string // chosen by the peer; may be empty
	// Mark is the message's id in the carrier's archive. The same message has the same one
	// whenever it comes. It may be empty, too.
	Mark     string
	From     phone.Number
	Resource string // of the peer's client, for Refuse; may be empty
	Time     time.Time
	Kind     UnreadKind
	// Text is the content of a message in clear. It is empty unless the carrier was told
	// to accept such messages.
	Text string
	// Language is the tag (BCP 47) that the peer's client gave its message; may be empty.
	Language string
	// WantsReceipt and WantsRead are those of a Message.
	WantsReceipt, WantsRead bool
}

// Refusal is what a peer's client is told of an Unread or a Message that was not accepted.
type Refusal struct {
	Resource, ID string     // of the Unread or the Message
	Kind         UnreadKind // empty when it is not known any more
}
