package signal

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of OMEMO2 (XEP-0384 v0.9, section "Protobuf Schema") are not libsignal's, and three
// small ones: they are read and written field by field. A field that the schema does not have is
// skipped; one that appears twice makes a message malformed, since readers differ about which counts.

// Fields of an OMEMOMessage.
const (
	omemoCounter  = 1 // n
	omemoPrevious = 2 // pn
	omemoRatchet  = 3 // dh_pub
	omemoBody     = 4 // ciphertext
)

// Fields of an OMEMOAuthenticatedMessage.
const (
	omemoCode          = 1 // mac
	omemoAuthenticated = 2 // message: the serialised OMEMOMessage
)

// Fields of an OMEMOKeyExchange.
const (
	omemoPreKeyID       = 1 // pk_id
	omemoSignedPreKeyID = 2 // spk_id
	omemoIdentity       = 3 // ik
	omemoBase           = 4 // ek
	omemoInner          = 5 // message: an OMEMOAuthenticatedMessage
)

// omemoFields is the highest number of a field.
const omemoFields = 5

// parts are what one message holds, by number: 0 is not used.
type parts struct {
	numbers [omemoFields + 1]uint32
	bytes   [omemoFields + 1][]byte
	has     [omemoFields + 1]bool
}

// schema says which type the fields of a message have; a field that it does not have is unknown.
type schema [omemoFields + 1]protowire.Type

// none marks a number that is not a field's: no known field is a group.
const none = protowire.StartGroupType

// read reads a message. It keeps no copy of b.
func (s schema) read(b []byte) (f parts, ok bool) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return f, false
		}
		b = b[n:]
		if number > omemoFields || s[number] == none {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return f, false
			}
			b = b[n:]
			continue
		}
		if kind != s[number] || f.has[number] {
			return f, false
		}
		f.has[number] = true
		if kind == protowire.VarintType {
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			f.numbers[number] = uint32(v)
			if n < 0 || v != uint64(f.numbers[number]) {
				return f, false
			}
		} else if f.bytes[number], n = protowire.ConsumeBytes(b); n < 0 {
			return f, false
		}
		b = b[n:]
	}
	return f, true
}

// parseOMEMO2 reads an OMEMOAuthenticatedMessage and the OMEMOMessage in it.
func parseOMEMO2(b []byte) (message, error) {
	outer, ok := schema{none, protowire.BytesType, protowire.BytesType, none, none, none}.read(b)
	if !ok || len(outer.bytes[omemoCode]) != omemo2MACSize {
		return message{}, fmt.Errorf("reading message: %w", ErrMalformed)
	}
	m := message{code: outer.bytes[omemoCode], authenticated: outer.bytes[omemoAuthenticated]}
	f, ok := schema{none, protowire.VarintType, protowire.VarintType, protowire.BytesType, protowire.BytesType, none}.read(m.authenticated)
	m.counter, m.ratchet, m.body = f.numbers[omemoCounter], f.bytes[omemoRatchet], f.bytes[omemoBody]
	if !ok || !f.has[omemoCounter] || !f.has[omemoPrevious] || len(m.ratchet) != len(PublicKey{}.u) || !wholeBlocks(m.body) {
		return message{}, fmt.Errorf("reading message: fields: %w", ErrMalformed)
	}
	return m, nil
}

// parseKeyExchange reads an OMEMOKeyExchange. It always names a one-time pre-key: XEP-0384 has
// receivers refuse one without.
func parseKeyExchange(b []byte) (preKeyMessage, error) {
	f, ok := schema{none, protowire.VarintType, protowire.VarintType, protowire.BytesType, protowire.BytesType, protowire.BytesType}.read(b)
	if !ok || !f.has[omemoPreKeyID] || !f.has[omemoSignedPreKeyID] {
		return preKeyMessage{}, fmt.Errorf("reading key exchange: fields: %w", ErrMalformed)
	}
	m := preKeyMessage{preKeyID: f.numbers[omemoPreKeyID], hasPreKey: true, signedPreKey: f.numbers[omemoSignedPreKeyID]}
	var err error
	if m.identity, err = ParseEdwardsIdentityKey(f.bytes[omemoIdentity]); err != nil {
		return preKeyMessage{}, fmt.Errorf("reading key exchange: %w", err)
	}
	if m.base, err = ParseCoordinate(f.bytes[omemoBase]); err != nil {
		return preKeyMessage{}, fmt.Errorf("reading key exchange: base key: %w", err)
	}
	if m.message, err = parseOMEMO2(f.bytes[omemoInner]); err != nil {
		return preKeyMessage{}, fmt.Errorf("reading key exchange: %w", err)
	}
	return m, nil
}

// writeOMEMO2 returns the OMEMOAuthenticatedMessage of that body.
func writeOMEMO2(keys *messageKeys, index, previous uint32, ratchet *PublicKey, associated, body []byte) []byte {
	inner := make([]byte, 0, len(body)+64) // 34 bytes of key, two numbers and a length
	inner = appendNumber(inner, omemoCounter, index)
	inner = appendNumber(inner, omemoPrevious, previous)
	inner = appendBytes(inner, omemoRatchet, ratchet.u[:])
	inner = appendBytes(inner, omemoBody, body)
	code := keys.authenticate(associated, inner)
	b := make([]byte, 0, len(inner)+32)
	b = appendBytes(b, omemoCode, code[:omemo2MACSize])
	return appendBytes(b, omemoAuthenticated, inner)
}

// writeKeyExchange returns the OMEMOKeyExchange around inner.
func writeKeyExchange(preKeyID, signedPreKeyID uint32, identity []byte, base *PublicKey, inner []byte) []byte {
	b := make([]byte, 0, len(inner)+96)
	b = appendNumber(b, omemoPreKeyID, preKeyID)
	b = appendNumber(b, omemoSignedPreKeyID, signedPreKeyID)
	b = appendBytes(b, omemoIdentity, identity)
	b = appendBytes(b, omemoBase, base.u[:])
	return appendBytes(b, omemoInner, inner)
}

func appendNumber(b []byte, field protowire.Number, v uint32) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}
