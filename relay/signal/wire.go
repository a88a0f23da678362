package signal

import (
	"crypto/aes"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// MaxCiphertext is the longest message that Decrypt looks at; a MaxPlaintext fits.
const MaxCiphertext = MaxPlaintext + 1024

// wireVersion is a message's first byte: version 3 in the upper half, in the lower
// half the newest version that the sender speaks, which receivers ignore.
const wireVersion = 0x33

// Fields of SignalMessage in libsignal's WhisperTextProtocol.proto.
const (
	fieldRatchetKey      = 1
	fieldCounter         = 2
	fieldPreviousCounter = 3
	fieldCiphertext      = 4
)

// Fields of PreKeySignalMessage.
const (
	fieldPreKeyID       = 1
	fieldBaseKey        = 2
	fieldIdentityKey    = 3
	fieldMessage        = 4
	fieldRegistrationID = 5
	fieldSignedPreKeyID = 6
)

// message is a SignalMessage as it was received, its fields pointing into raw.
type message struct {
	raw     []byte // all of it: what the code at its end authenticates
	ratchet []byte // 33 bytes, the first keyType
	counter uint32
	body    []byte // whole AES blocks, at least one
}

// preKeyMessage is a PreKeySignalMessage as it was received. Nothing in it but
// message is authenticated, and that only once a session decrypts it.
type preKeyMessage struct {
	preKeyID     uint32
	hasPreKey    bool
	signedPreKey uint32
	base         []byte
	identity     []byte
	message      message
}

// parseMessage reads a SignalMessage. It does not copy b.
func parseMessage(b []byte) (message, error) {
	m := message{raw: b}
	if len(b) > MaxCiphertext || len(b) < 1+macSize || b[0]>>4 != wireVersion>>4 {
		return m, fmt.Errorf("reading message: %w", ErrMalformed)
	}
	f, err := scanFields(b[1 : len(b)-macSize])
	if err != nil {
		return m, fmt.Errorf("reading message: %w", err)
	}
	m.ratchet, m.body, m.counter = f.bytes[fieldRatchetKey], f.bytes[fieldCiphertext], f.numbers[fieldCounter]
	if !f.isNumber(fieldCounter) || !serialisedKey(m.ratchet) || len(m.body) == 0 || len(m.body)%aes.BlockSize != 0 {
		return m, fmt.Errorf("reading message: fields: %w", ErrMalformed)
	}
	return m, nil
}

// parsePreKeyMessage reads a PreKeySignalMessage. It does not copy b.
func parsePreKeyMessage(b []byte) (preKeyMessage, error) {
	var m preKeyMessage
	if len(b) > MaxCiphertext || len(b) < 1 || b[0]>>4 != wireVersion>>4 {
		return m, fmt.Errorf("reading pre-key message: %w", ErrMalformed)
	}
	f, err := scanFields(b[1:])
	if err != nil {
		return m, fmt.Errorf("reading pre-key message: %w", err)
	}
	m.preKeyID, m.hasPreKey = f.numbers[fieldPreKeyID], f.isNumber(fieldPreKeyID)
	m.signedPreKey = f.numbers[fieldSignedPreKeyID]
	m.base, m.identity = f.bytes[fieldBaseKey], f.bytes[fieldIdentityKey]
	if !f.isNumber(fieldSignedPreKeyID) || !serialisedKey(m.base) || !serialisedKey(m.identity) ||
		f.bytes[fieldPreKeyID] != nil {
		return m, fmt.Errorf("reading pre-key message: fields: %w", ErrMalformed)
	}
	if m.message, err = parseMessage(f.bytes[fieldMessage]); err != nil {
		return m, fmt.Errorf("reading pre-key message: %w", err)
	}
	return m, nil
}

// serialisedKey reports whether b has the form of a public key, which is all that
// looking it up among known ones needs.
func serialisedKey(b []byte) bool { return len(b) == PublicKeySize && b[0] == keyType }

// fields are a protobuf message's fields by number: these messages have at most
// six, each a number of 32 bits or a string of bytes.
type fields struct {
	bytes   [7][]byte
	numbers [7]uint32
	kinds   [7]protowire.Type
	seen    [7]bool
}

func (f *fields) isNumber(n protowire.Number) bool {
	return f.seen[n] && f.kinds[n] == protowire.VarintType
}

// scanFields reads b. It is stricter than protobuf: each known field at most once,
// and no number over 32 bits. Unknown fields are passed over.
func scanFields(b []byte) (f fields, err error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return f, ErrMalformed
		}
		b = b[n:]
		if int(number) >= len(f.seen) {
			n = protowire.ConsumeFieldValue(number, kind, b)
		} else {
			n = f.scan(number, kind, b)
		}
		if n < 0 {
			return f, ErrMalformed
		}
		b = b[n:]
	}
	return f, nil
}

// scan reads the value of a known field and returns its length, or -1.
func (f *fields) scan(number protowire.Number, kind protowire.Type, b []byte) int {
	if f.seen[number] {
		return -1
	}
	f.seen[number], f.kinds[number] = true, kind
	switch kind {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(b)
		if v > math.MaxUint32 {
			return -1
		}
		f.numbers[number] = uint32(v)
		return n
	case protowire.BytesType:
		v, n := protowire.ConsumeBytes(b)
		f.bytes[number] = v
		return n
	default:
		return -1
	}
}

// sealMessage encrypts plaintext under keys and returns the whole SignalMessage.
func sealMessage(keys *messageKeys, chain *sendChain, sender, receiver *PublicKey, plaintext []byte) ([]byte, error) {
	body := sealedSize(len(plaintext))
	b := make([]byte, 0, 1+2+PublicKeySize+2*(1+protowire.SizeVarint(math.MaxUint32))+
		1+protowire.SizeBytes(body)+macSize)
	b = append(b, wireVersion)
	b = protowire.AppendTag(b, fieldRatchetKey, protowire.BytesType)
	b = protowire.AppendVarint(b, PublicKeySize)
	b = chain.ratchet.public.append(b)
	b = appendNumber(b, fieldCounter, chain.index)
	b = appendNumber(b, fieldPreviousCounter, chain.previous)
	b = protowire.AppendTag(b, fieldCiphertext, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(body))
	b, err := keys.appendSealed(b, plaintext)
	if err != nil {
		return nil, err
	}
	code := keys.authenticate(sender, receiver, b)
	return append(b, code[:]...), nil
}

// wrapMessage returns the PreKeySignalMessage around inner.
func wrapMessage(p *pendingPreKey, base, identity *PublicKey, registrationID uint32, inner []byte) []byte {
	b := make([]byte, 0, len(inner)+2*(2+PublicKeySize)+40)
	b = append(b, wireVersion)
	if p.preKeyID != 0 {
		b = appendNumber(b, fieldPreKeyID, p.preKeyID)
	}
	b = protowire.AppendTag(b, fieldBaseKey, protowire.BytesType)
	b = base.append(protowire.AppendVarint(b, PublicKeySize))
	b = protowire.AppendTag(b, fieldIdentityKey, protowire.BytesType)
	b = identity.append(protowire.AppendVarint(b, PublicKeySize))
	b = protowire.AppendTag(b, fieldMessage, protowire.BytesType)
	b = protowire.AppendBytes(b, inner)
	b = appendNumber(b, fieldRegistrationID, registrationID)
	return appendNumber(b, fieldSignedPreKeyID, p.signedPreKeyID)
}

func appendNumber(b []byte, field protowire.Number, v uint32) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}
