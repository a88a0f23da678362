package xmpp

// Metrics counts what happens on a link. The labels are constants of this package:
// no address, no number. Implementations must be safe for concurrent use and quick.
type Metrics interface {
	// Dropped counts something that arrived and was not handed on, and why.
	Dropped(reason Drop)
	// Linked counts links that came up; resumed ones continue the previous one.
	Linked(resumed bool)
}

// Drop is why something that arrived was not handed on.
type Drop string

// The reasons.
const (
	DropForeignDomain     Drop = "foreign_domain"     // sender of another domain
	DropForeignAddress    Drop = "foreign_address"    // sender whose address is no number
	DropFromServer        Drop = "from_server"        // announcements and the like
	DropFromSelf          Drop = "from_self"          // our own account's other devices
	DropMalformed         Drop = "malformed"          // an encrypted element, device list or bundle that breaks its format or limits
	DropForeignType       Drop = "foreign_type"       // group chats, headlines: kinds that no customer sends
	DropForeignEncryption Drop = "foreign_encryption" // encrypted, but not as we read it
	DropPlaintext         Drop = "plaintext"          // text in clear while only encrypted text is accepted
	DropEmpty             Drop = "empty"              // neither content nor receipt: unknown extensions
	DropLongID            Drop = "long_id"            // identifiers longer than anyone needs
	DropArchive           Drop = "archive"            // what an archive holds beyond all that is read of it
	DropUnasked           Drop = "unasked"            // answers to questions that were not asked, or by another than the one asked
	DropRoster            Drop = "roster"             // changes of our contact list that another than our account tells

	// Stanzas that servers relay and that are larger than anything that clients need:
	// the link goes on behind them.
	DropTooLarge       Drop = "too_large"           // bytes
	DropTooDeep        Drop = "too_deep"            // levels of elements
	DropManyElements   Drop = "too_many_elements"   // in one stanza
	DropManyAttributes Drop = "too_many_attributes" // of one element
)

type noMetrics struct{}

func (noMetrics) Dropped(Drop) {}
func (noMetrics) Linked(bool)  {}
