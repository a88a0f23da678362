package carrier

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// References is what a message says about other messages of its conversation, which it names by
// their stanza ids. In Legacy it stands outside the encryption: the carrier can read it, change it,
// remove it and add it to any message. In OMEMO2 it may stand inside.
type References struct {
	ReplyTo string // the message that it answers (XEP-0461); empty for none
	// ReplyToOwn says that the answered message is its sender's own. It is only set on what
	// is sent.
	ReplyToOwn bool
	// Quote is the part of the text that repeats the answered message for clients that do
	// not know replies (XEP-0428). The zero Range means none.
	Quote Range
	// Corrects is the message of the same sender that it replaces (XEP-0308); empty for none.
	Corrects string
}

// Range is a part of a text, from Start up to End, in Unicode code points (XEP-0426). It may
// lie outside of the text.
type Range struct{ Start, End int }

// Reaction says with which emoji a peer reacts to a message of the conversation (XEP-0444). It
// replaces the peer's earlier reaction to that message.
type Reaction struct {
	ID       string // of the stanza, chosen by the peer; may be empty
	From     phone.Number
	Resource string // of the peer's client, for Refuse; may be empty
	About    string // stanza id of the message
	// Emoji is what the peer sent, at most MaxReactions texts of at most MaxEmoji bytes. They
	// need not be emoji. None removes the reaction.
	Emoji []string
	Time  time.Time // as of a Message
	// Encrypted says that it stood inside the encryption.
	Encrypted bool
}

// Bounds on one Reaction.
const (
	MaxReactions = 16
	MaxEmoji     = 64 // bytes; the longest emoji have 35
)

// Retraction says that a peer takes back a message that it sent (XEP-0424).
type Retraction struct {
	ID       string // of the stanza, chosen by the peer; may be empty
	From     phone.Number
	Resource string // of the peer's client, for Refuse; may be empty
	About    string // stanza id of the message
	Time     time.Time
	// Encrypted says that it stood inside the encryption.
	Encrypted bool
}

// OutgoingReaction is a reaction on its way to a peer.
type OutgoingReaction struct {
	ID    string // of the stanza
	To    phone.Number
	About string // stanza id of the message
	Emoji string // empty removes our reaction
}
