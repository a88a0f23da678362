package carrier

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// UnreadKind says why the carrier could not read a message.
type UnreadKind string

// The kinds.
const (
	InClear           UnreadKind = "in_clear"           // it is not encrypted
	ForeignEncryption UnreadKind = "foreign_encryption" // it is encrypted, but not as we read it
	Malformed         UnreadKind = "malformed"          // it breaks the format of an Envelope
	TooLarge          UnreadKind = "too_large"          // it exceeds the size that is read
	OverQuota         UnreadKind = "over_quota"         // its sender has used up the quota

	OptedOut UnreadKind = "opted_out" // it asks for messages without encryption

	// Why a Reaction or a Retraction was refused.

	UnknownReference UnreadKind = "unknown_reference" // it is about no message that is known, or not about one of its sender's
	NotEmoji         UnreadKind = "not_emoji"         // it reacts with something else
)

// Unread is a message that arrived with content but without an Envelope. Everything in it
// is what the peer claims.
type Unread struct {
	ID string // chosen by the peer; may be empty
	// Mark is the message's id in the carrier's archive: the same each time the message
	// comes. It may be empty.
	Mark     string
	From     phone.Number
	Resource string // of the peer's client, for Refuse; may be empty
	Time     time.Time
	Kind     UnreadKind
	// Text is the content of an unencrypted message. It is empty unless the carrier was
	// configured to accept such messages.
	Text string
	// Language is the tag (BCP 47) that the peer's client gave its message; may be empty.
	Language string
	// WantsReceipt and WantsRead are those of a Message.
	WantsReceipt, WantsRead bool
	// References are those of a Message. They are empty where Text is.
	References References
}

// Refusal tells a peer's client that an Unread, a Message, a Reaction or a Retraction was not
// accepted.
type Refusal struct {
	Resource, ID string     // of what was not accepted
	Kind         UnreadKind // empty when it is no longer known
}
