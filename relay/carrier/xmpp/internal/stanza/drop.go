package stanza

// Drop is why something that arrived was not passed on.
type Drop string

// The reasons.
const (
	DropForeignDomain     Drop = "foreign_domain"     // sender of another domain
	DropForeignAddress    Drop = "foreign_address"    // sender whose address is no number, and no name where those are allowed
	DropFromServer        Drop = "from_server"        // announcements and the like
	DropFromSelf          Drop = "from_self"          // our own account's other devices
	DropMalformed         Drop = "malformed"          // an encrypted element, device list or bundle that breaks its format or limits
	DropForeignType       Drop = "foreign_type"       // group chats, headlines: kinds that no customer sends
	DropForeignEncryption Drop = "foreign_encryption" // encrypted, but not as we read it
	DropPlaintext         Drop = "plaintext"          // unencrypted text, where only encrypted text is accepted
	DropEmpty             Drop = "empty"              // neither content nor receipt: unknown extensions
	DropLongID            Drop = "long_id"            // identifiers longer than anyone needs
	DropArchive           Drop = "archive"            // messages in the archive beyond the number that is read
	DropUnasked           Drop = "unasked"            // answers to questions that we did not ask, or did not ask of this address
	DropRoster            Drop = "roster"             // changes to our contact list that do not come from our own account

	// Stanzas that servers relay although they are larger than clients need. The link goes
	// on after them.
	DropTooLarge       Drop = "too_large"           // bytes
	DropTooDeep        Drop = "too_deep"            // levels of elements
	DropManyElements   Drop = "too_many_elements"   // in one stanza
	DropManyAttributes Drop = "too_many_attributes" // of one element
)

// Drops lists all reasons.
func Drops() []Drop {
	return []Drop{
		DropForeignDomain, DropForeignAddress, DropFromServer, DropFromSelf, DropMalformed, DropForeignType, DropForeignEncryption,
		DropPlaintext, DropEmpty, DropLongID, DropArchive, DropUnasked, DropRoster,
		DropTooLarge, DropTooDeep, DropManyElements, DropManyAttributes,
	}
}

// Oversize says that an element breaks a bound. The stream itself is intact: the rest of the
// element can be read and forgotten.
type Oversize struct{ Reason Drop }

func (e *Oversize) Error() string { return "xmpp: element exceeds a bound: " + string(e.Reason) }
