package customer

import (
	"crypto/sha256"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// maxShown is how many of the latest messages are remembered.
const maxShown = 256

// shown remembers the latest messages that were shown while the customer runs: when a session
// was replaced, a peer sends again what it has no receipt for, as another ciphertext under the
// first one's stanza id. The text is compared, too, because some clients restart their ids each
// time they start.
type shown struct {
	known  map[shownMessage]bool
	latest []shownMessage // a ring
	next   int
}

type shownMessage struct {
	peer phone.Number
	id   string
	text [sha256.Size]byte
}

// again says whether a message was shown before, and remembers it. A message without an id
// never counts as shown.
func (s *shown) again(m carrier.Message, text []byte) bool {
	one := shownMessage{m.From, m.ID, sha256.Sum256(text)}
	if m.ID == "" || s.known[one] {
		return m.ID != ""
	}
	if s.known == nil {
		s.known, s.latest = map[shownMessage]bool{}, make([]shownMessage, maxShown)
	}
	delete(s.known, s.latest[s.next])
	s.known[one], s.latest[s.next] = true, one
	s.next = (s.next + 1) % maxShown
	return false
}
