package signal

import "crypto/aes"

// message is a message as it was received: in Legacy a SignalMessage, and in OMEMO2 an
// OMEMOAuthenticatedMessage.
type message struct {
	authenticated []byte // the bytes that the code authenticates, not copied
	code          []byte // truncated as the format has it
	ratchet       []byte // 32 bytes, not checked
	counter       uint32
	body          []byte // whole AES blocks, at least one
}

// preKeyMessage is a message that begins a session, as it was received: in Legacy a
// PreKeySignalMessage, and in OMEMO2 an OMEMOKeyExchange. Only message in it is authenticated,
// and only once a session has decrypted it.
type preKeyMessage struct {
	preKeyID     uint32
	hasPreKey    bool
	signedPreKey uint32
	base         PublicKey
	identity     IdentityKey
	message      message
}

// wholeBlocks reports whether a body can be one of AES-CBC.
func wholeBlocks(body []byte) bool { return len(body) > 0 && len(body)%aes.BlockSize == 0 }
