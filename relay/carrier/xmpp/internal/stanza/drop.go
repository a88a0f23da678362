package stanza

// Drop is why something that arrived was not passed on.
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

// Oversize says that an element breaks a bound. The stream itself is in order: what is
// left of the element can be read and forgotten.
type Oversize struct{ Reason Drop }

func (e *Oversize) Error() string { return "xmpp: element is larger than is read: " + string(e.Reason) }
