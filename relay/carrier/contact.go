package carrier

import "github.com/relaykeep/relaykeep/relay/phone"

// ContactState says whether a peer lets us see what it shows only to its contacts.
type ContactState int

// The states.
const (
	ContactNone    ContactState = iota // not asked, or the peer refused or ended it
	ContactAsked                       // asked, and not answered yet
	ContactAllowed                     // the peer lets us
)

// ContactAnswer says that a peer answered our contact request: the state is ContactAllowed or
// ContactNone. An answer that came while there was no link is not reported: Contact knows it.
type ContactAnswer struct {
	Peer  phone.Number
	State ContactState
}
