package store

import (
	"encoding/binary"
	"math/bits"
)

// What a row is bound to reveals that the row was changed or moved, but not that an older state
// of it was put back, or that it is missing. For sessions and pre-keys that would mean using a
// key twice. So the store keeps a keyed hash of the set of these rows: the sum, modulo 2^256, of
// an HMAC of each (Clarke et al., "Incremental Multiset Hash Functions and Their Application to
// Memory Integrity Checking", 2003, MSet-Add-Hash). It is changed in the transaction that
// changes the rows. It is sealed, because the difference between two sums would reveal what a
// row adds. Open compares it with the rows; when it is wrong, the store counts as restored. If
// everything is put back at once, including the sum, that is noticed as any restored store is,
// or not at all.

// sum is a number modulo 2^256, the lowest word first.
type sum [4]uint64

func (s *sum) add(h sum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], h[i], carry)
	}
}

func (s *sum) subtract(h sum) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], h[i], borrow)
	}
}

func (s sum) bytes() []byte {
	b := make([]byte, 0, 32)
	for _, word := range s {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

func sumOf(b []byte) (s sum) {
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s
}
