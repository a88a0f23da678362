package signal

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of SignalMessage in WhisperTextProtocol.proto.
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

// fields are a protobuf message's fields by number, as a second reader finds them that
// knows nothing of the generated one.
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
