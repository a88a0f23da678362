package signal

import (
	"crypto/aes"
	"crypto/cipher"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// forger makes what only the peer can make: messages with a valid code whose
// inside is wrong. It works on the next message of a device's current session,
// which it does not move on.
type forger struct {
	t    testing.TB
	s    session
	keys messageKeys
}

func (d *device) forger() *forger {
	d.t.Helper()
	f := &forger{t: d.t, s: *d.record().current}
	if f.s.send.due {
		must(d.t, f.s.nextSend())
	}
	seed := messageSeed(&f.s.send.key)
	f.keys = deriveMessageKeys(f.s.format, &seed)
	return f
}

// encrypted is plaintext, whole blocks, encrypted without adding any padding.
func (f *forger) encrypted(plaintext []byte) []byte {
	block, err := aes.NewCipher(f.keys.cipher[:])
	must(f.t, err)
	body := make([]byte, len(plaintext))
	cipher.NewCBCEncrypter(block, f.keys.iv[:]).CryptBlocks(body, plaintext)
	return body
}

// fields serialises a message with the given body, up to its code.
func (f *forger) fields(body []byte) []byte {
	if f.s.format == OMEMO2 {
		b := appendNumber(nil, omemoCounter, f.s.send.index)
		b = appendNumber(b, omemoPrevious, f.s.send.previous)
		return appendBytes(appendBytes(b, omemoRatchet, f.s.send.ratchet.public.u[:]), omemoBody, body)
	}
	b := protowire.AppendTag([]byte{wireVersion}, fieldRatchetKey, protowire.BytesType)
	b = protowire.AppendBytes(b, f.s.send.ratchet.public.Bytes())
	b = appendNumber(b, fieldCounter, f.s.send.index)
	b = appendNumber(b, fieldPreviousCounter, f.s.send.previous)
	b = protowire.AppendTag(b, fieldCiphertext, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

// authentic appends the code that makes b an authentic message.
func (f *forger) authentic(b []byte) Ciphertext {
	var associated [associatedSize]byte
	code := f.keys.authenticate(f.s.associated(&associated, true), b)
	if f.s.format == OMEMO2 {
		return Ciphertext{Format: OMEMO2, Data: appendBytes(appendBytes(nil, omemoCode, code[:omemo2MACSize]), omemoAuthenticated, b)}
	}
	return Ciphertext{Data: append(b, code[:macSize]...)}
}

// padded is text with correct padding.
func padded(text string) []byte {
	b := []byte(text)
	n := sealedSize(len(b)) - len(b)
	for range n {
		b = append(b, byte(n))
	}
	return b
}

// preKeyMessageOf serialises a pre-key message of the given parts, a nil part
// left out, and id 0 too.
func preKeyMessageOf(id, signed uint32, base, identity, inner []byte) Ciphertext {
	b := []byte{wireVersion}
	if id != 0 {
		b = appendNumber(b, fieldPreKeyID, id)
	}
	for i, part := range [][]byte{base, identity, inner} {
		if part != nil {
			field := protowire.Number(fieldBaseKey + i)
			b = protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), part)
		}
	}
	b = appendNumber(b, fieldRegistrationID, 1)
	return Ciphertext{Data: appendNumber(b, fieldSignedPreKeyID, signed), PreKey: true}
}

// flipped returns a copy of c with a bit changed in the byte at i, from the end
// when i is negative.
func flipped(c Ciphertext, i int) Ciphertext {
	data := append([]byte(nil), c.Data...)
	if i < 0 {
		i += len(data)
	}
	data[i] ^= 1
	return Ciphertext{Format: c.Format, Data: data, PreKey: c.PreKey}
}

// panics reports whether f panics.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
