package signal

import (
	"crypto/aes"
	"fmt"

	"go.mau.fi/libsignal/serialize"
	"google.golang.org/protobuf/proto"
)

// MaxCiphertext is the longest message that Decrypt reads; one with MaxPlaintext fits.
const MaxCiphertext = MaxPlaintext + 1024

// wireVersion is a message's first byte: version 3 in the upper half, and in the lower half the
// newest version that the sender speaks, which receivers ignore.
const wireVersion = 0x33

// message is a SignalMessage as it was received.
type message struct {
	raw     []byte // the whole message, not copied: the code at its end authenticates these bytes
	ratchet []byte // 33 bytes, the first keyType
	counter uint32
	body    []byte // whole AES blocks, at least one
}

// preKeyMessage is a PreKeySignalMessage as it was received. Only message in it is authenticated,
// and only once a session has decrypted it.
type preKeyMessage struct {
	preKeyID     uint32
	hasPreKey    bool
	signedPreKey uint32
	base         []byte
	identity     []byte
	message      message
}

// parseMessage reads a SignalMessage. It checks length and version before protobuf reads the
// message, and the fields afterwards.
func parseMessage(b []byte) (message, error) {
	m := message{raw: b}
	if len(b) > MaxCiphertext || len(b) < 1+macSize || b[0]>>4 != wireVersion>>4 {
		return m, fmt.Errorf("reading message: %w", ErrMalformed)
	}
	var f serialize.SignalMessage
	if err := unmarshal(b[1:len(b)-macSize], &f); err != nil {
		return m, fmt.Errorf("reading message: %w", err)
	}
	m.ratchet, m.body, m.counter = f.RatchetKey, f.Ciphertext, f.GetCounter()
	if f.Counter == nil || !serialisedKey(m.ratchet) || len(m.body) == 0 || len(m.body)%aes.BlockSize != 0 {
		return m, fmt.Errorf("reading message: fields: %w", ErrMalformed)
	}
	return m, nil
}

// parsePreKeyMessage reads a PreKeySignalMessage, as parseMessage does.
func parsePreKeyMessage(b []byte) (preKeyMessage, error) {
	var m preKeyMessage
	if len(b) > MaxCiphertext || len(b) < 1 || b[0]>>4 != wireVersion>>4 {
		return m, fmt.Errorf("reading pre-key message: %w", ErrMalformed)
	}
	var f serialize.PreKeySignalMessage
	if err := unmarshal(b[1:], &f); err != nil {
		return m, fmt.Errorf("reading pre-key message: %w", err)
	}
	m.preKeyID, m.hasPreKey = f.GetPreKeyId(), f.PreKeyId != nil
	m.signedPreKey = f.GetSignedPreKeyId()
	m.base, m.identity = f.BaseKey, f.IdentityKey
	if f.SignedPreKeyId == nil || !serialisedKey(m.base) || !serialisedKey(m.identity) {
		return m, fmt.Errorf("reading pre-key message: fields: %w", ErrMalformed)
	}
	var err error
	if m.message, err = parseMessage(f.Message); err != nil {
		return m, fmt.Errorf("reading pre-key message: %w", err)
	}
	return m, nil
}

// unmarshal reads protobuf. It skips fields that the protocol does not have.
func unmarshal(b []byte, m proto.Message) error {
	if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m) != nil {
		return ErrMalformed // protobuf's own error may quote the message
	}
	return nil
}

// serialisedKey reports whether b has the form of a public key, which is enough to look it up among
// known ones.
func serialisedKey(b []byte) bool { return len(b) == PublicKeySize && b[0] == keyType }

// sealMessage encrypts plaintext under keys and returns the whole SignalMessage.
func sealMessage(keys *messageKeys, chain *sendChain, sender, receiver *PublicKey, plaintext []byte) ([]byte, error) {
	body, err := keys.seal(plaintext)
	if err != nil {
		return nil, err
	}
	b, err := marshal(&serialize.SignalMessage{
		RatchetKey: chain.ratchet.public.Bytes(), Counter: &chain.index, PreviousCounter: &chain.previous, Ciphertext: body,
	}, macSize)
	if err != nil {
		return nil, err
	}
	code := keys.authenticate(sender, receiver, b)
	return append(b, code[:]...), nil
}

// wrapMessage returns the PreKeySignalMessage around inner.
func wrapMessage(p *pendingPreKey, base, identity *PublicKey, registrationID uint32, inner []byte) ([]byte, error) {
	m := &serialize.PreKeySignalMessage{
		BaseKey: base.Bytes(), IdentityKey: identity.Bytes(), Message: inner,
		RegistrationId: &registrationID, SignedPreKeyId: &p.signedPreKeyID,
	}
	if p.preKeyID != 0 {
		m.PreKeyId = &p.preKeyID
	}
	return marshal(m, 0)
}

// marshal returns the version byte and m, with room for so many more bytes.
func marshal(m proto.Message, room int) ([]byte, error) {
	var o proto.MarshalOptions
	b := append(make([]byte, 0, 1+o.Size(m)+room), wireVersion)
	o.UseCachedSize = true
	b, err := o.MarshalAppend(b, m)
	if err != nil {
		return nil, fmt.Errorf("writing message: %w", err)
	}
	return b, nil
}
