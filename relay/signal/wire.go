package signal

import (
	"fmt"

	"go.mau.fi/libsignal/serialize"
	"google.golang.org/protobuf/proto"
)

// MaxCiphertext is the longest message that Decrypt reads; one with MaxPlaintext fits.
const MaxCiphertext = MaxPlaintext + 1024

// wireVersion is a message's first byte: version 3 in the upper half, and in the lower half the
// newest version that the sender speaks, which receivers ignore.
const wireVersion = 0x33

// parse reads a message that continues a session.
func parse(c Ciphertext) (message, error) {
	if c.Format == OMEMO2 {
		return parseOMEMO2(c.Data)
	}
	return parseMessage(c.Data)
}

// parsePreKey reads a message that begins a session.
func parsePreKey(c Ciphertext) (preKeyMessage, error) {
	if c.Format == OMEMO2 {
		return parseKeyExchange(c.Data)
	}
	return parsePreKeyMessage(c.Data)
}

// write encrypts plaintext under keys and returns the whole message, which continues the session.
func (s *session) write(keys *messageKeys, plaintext []byte) ([]byte, error) {
	body, err := keys.seal(plaintext)
	if err != nil {
		return nil, err
	}
	var b [associatedSize]byte
	associated := s.associated(&b, true)
	if s.format == OMEMO2 {
		return writeOMEMO2(keys, s.send.index, s.send.previous, &s.send.ratchet.public, associated, body), nil
	}
	return writeMessage(keys, &s.send, associated, body)
}

// wrap returns the message that begins the session, around inner.
func (s *session) wrap(registrationID uint32, inner []byte) ([]byte, error) {
	if s.format == OMEMO2 {
		// The session is one that we began, so its associated data begins with our identity key.
		return writeKeyExchange(s.pending.preKeyID, s.pending.signedPreKeyID, s.ad[:EdwardsKeySize], &s.base, inner), nil
	}
	return wrapMessage(&s.pending, &s.base, &s.local, registrationID, inner)
}

// parseMessage reads a SignalMessage. It checks length and version before protobuf reads the
// message, and the fields afterwards.
func parseMessage(b []byte) (message, error) {
	var m message
	if len(b) > MaxCiphertext || len(b) < 1+macSize || b[0]>>4 != wireVersion>>4 {
		return m, fmt.Errorf("reading message: %w", ErrMalformed)
	}
	var f serialize.SignalMessage
	m.authenticated, m.code = b[:len(b)-macSize], b[len(b)-macSize:]
	if err := unmarshal(m.authenticated[1:], &f); err != nil {
		return m, fmt.Errorf("reading message: %w", err)
	}
	if f.Counter == nil || !serialisedKey(f.RatchetKey) || !wholeBlocks(f.Ciphertext) {
		return m, fmt.Errorf("reading message: fields: %w", ErrMalformed)
	}
	m.ratchet, m.body, m.counter = f.RatchetKey[1:], f.Ciphertext, f.GetCounter()
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
	if f.SignedPreKeyId == nil {
		return m, fmt.Errorf("reading pre-key message: fields: %w", ErrMalformed)
	}
	var err error
	if m.base, err = ParsePublicKey(f.BaseKey); err != nil {
		return m, fmt.Errorf("reading pre-key message: base key: %w", err)
	}
	if m.identity, err = ParseIdentityKey(f.IdentityKey); err != nil {
		return m, fmt.Errorf("reading pre-key message: %w", err)
	}
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

// writeMessage returns the SignalMessage of that body.
func writeMessage(keys *messageKeys, chain *sendChain, associated, body []byte) ([]byte, error) {
	b, err := marshal(&serialize.SignalMessage{
		RatchetKey: chain.ratchet.public.Bytes(), Counter: &chain.index, PreviousCounter: &chain.previous, Ciphertext: body,
	}, macSize)
	if err != nil {
		return nil, err
	}
	code := keys.authenticate(associated, b)
	return append(b, code[:macSize]...), nil
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
