package signal

// Format is a form that sessions have: how messages are written, with what labels keys are
// derived, and what a message's code covers. The steps are the same in all forms. A record
// holds sessions of one format.
type Format uint8

// The formats.
const (
	// Legacy is protocol version 3 as libsignal-protocol-c and -java speak it, which legacy
	// OMEMO (XEP-0384 v0.3) uses.
	Legacy Format = iota
	// OMEMO2 is what urn:xmpp:omemo:2 (XEP-0384 v0.9) uses.
	OMEMO2
)

// The labels of the format Legacy. Nobody writes to them.
const (
	infoSession = "WhisperText"
	infoRatchet = "WhisperRatchet"
	infoMessage = "WhisperMessageKeys"
)

// labels are what keys are derived with.
type labels struct{ session, ratchet, message string }

func (f Format) labels() labels {
	if f == OMEMO2 {
		return labels{session: "OMEMO X3DH", ratchet: "OMEMO Root Chain", message: "OMEMO Message Key Material"}
	}
	return labels{session: infoSession, ratchet: infoRatchet, message: infoMessage}
}

// previous is what a message says about a sending chain of which index was the next index, once
// another chain has followed: in OMEMO2 how many messages it had (Double Ratchet, section 3.4), and
// in libsignal the index of its last message, 0 when there was none.
func (f Format) previous(index uint32) uint32 {
	if f == OMEMO2 || index == 0 {
		return index
	}
	return index - 1
}
