package store

import (
	"encoding/binary"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Sealed values are a version byte and fields one after another: numbers as eight bytes, byte
// strings after their length as a varint. Reading JSON or gob would cost more than the
// sealing.

// layout is the version of what is sealed.
const layout = 1

// writer builds values to seal, and row identities.
type writer struct{ b []byte }

func newWriter(size int) *writer {
	w := &writer{b: make([]byte, 1, size+32)}
	w.b[0] = layout
	return w
}

func (w *writer) integer(v int64) *writer {
	w.b = binary.BigEndian.AppendUint64(w.b, uint64(v))
	return w
}

func (w *writer) bytes(v []byte) *writer {
	w.b = binary.AppendUvarint(w.b, uint64(len(v)))
	w.b = append(w.b, v...)
	return w
}

func (w *writer) text(v string) *writer {
	w.b = binary.AppendUvarint(w.b, uint64(len(v)))
	w.b = append(w.b, v...)
	return w
}

func (w *writer) flag(v bool) *writer {
	var b byte
	if v {
		b = 1
	}
	w.b = append(w.b, b)
	return w
}

// reader reads what writer built. It keeps the first fault, which done returns.
type reader struct {
	b   []byte
	bad bool
}

func newReader(b []byte) *reader {
	if len(b) == 0 || b[0] != layout {
		return &reader{bad: true}
	}
	return &reader{b: b[1:]}
}

func (r *reader) integer() int64 {
	if r.bad || len(r.b) < 8 {
		r.bad = true
		return 0
	}
	v := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return int64(v)
}

func (r *reader) bytes() []byte {
	n, used := binary.Uvarint(r.b)
	if r.bad || used <= 0 || n > uint64(len(r.b)-used) {
		r.bad = true
		return nil
	}
	end := used + int(n)
	v := r.b[used:end:end]
	r.b = r.b[end:]
	return v
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) flag() bool {
	if r.bad || len(r.b) < 1 || r.b[0] > 1 {
		r.bad = true
		return false
	}
	v := r.b[0] == 1
	r.b = r.b[1:]
	return v
}

// done returns seal.ErrTampered unless everything could be read and nothing is left over.
func (r *reader) done() error {
	if r.bad || len(r.b) != 0 {
		return seal.ErrTampered
	}
	return nil
}

// rowOf is the identity of a row that is identified by numbers only.
func rowOf(numbers ...int64) []byte {
	b := make([]byte, 0, 8*len(numbers)+40)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}
