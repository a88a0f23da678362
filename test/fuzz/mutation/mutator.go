package mutation

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// most is how long a mutated text may get beyond twice its seed's length.
const most = 1 << 10

type mutator struct{ *rand.Rand }

// value returns a mutated copy of one argument; donor is the same argument of another
// seed.
func (m mutator) value(v, donor any) any {
	switch v := v.(type) {
	case []byte:
		return m.bytes(v, donor.([]byte))
	case string:
		return string(m.bytes([]byte(v), []byte(donor.(string))))
	case bool:
		return !v
	case uint32:
		return m.number(v)
	default:
		panic(fmt.Sprintf("mutation: no rule for a %T: add one", v))
	}
}

// number returns a number near v, a bit away from it, or at the ends of its range.
func (m mutator) number(v uint32) uint32 {
	switch m.IntN(4) {
	case 0:
		return v + 1 - 2*m.Uint32N(2)
	case 1:
		return v ^ 1<<m.IntN(32)
	case 2:
		return m.Uint32()
	default:
		ends := []uint32{0, 1, math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32}
		return ends[m.IntN(len(ends))]
	}
}

// bytes mutates a copy of b a few times.
func (m mutator) bytes(b, donor []byte) []byte {
	limit := 2*len(b) + most
	b = bytes.Clone(b)
	for range 1 << m.IntN(4) {
		b = m.once(b, donor)
	}
	return b[:min(len(b), limit)]
}

// once makes one change.
func (m mutator) once(b, donor []byte) []byte {
	if len(b) == 0 {
		return slices.Concat(b, m.part(donor), m.fresh())
	}
	at := m.IntN(len(b))
	switch m.IntN(9) {
	case 0: // one bit
		b[at] ^= 1 << m.IntN(8)
	case 1: // one byte
		b[at] = byte(m.Uint32())
	case 2: // a byte that parsers care about
		edges := []byte{0, 1, 0x7f, 0x80, 0xff, '<', '>', '"', '\'', '&', '\n'}
		b[at] = edges[m.IntN(len(edges))]
	case 3: // one more or one less, as in a length
		b[at] += byte(1 - 2*m.IntN(2))
	case 4: // cut off
		b = b[:at]
	case 5: // cut out
		b = slices.Delete(b, at, at+m.IntN(len(b)-at+1))
	case 6: // said twice
		b = slices.Insert(b, at, m.part(b)...)
	case 7: // something of another seed
		b = slices.Insert(b, at, m.part(donor)...)
	default: // noise
		b = slices.Insert(b, at, m.fresh()...)
	}
	return b
}

// part returns a copy of some of b.
func (m mutator) part(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	from := m.IntN(len(b))
	return bytes.Clone(b[from : from+m.IntN(len(b)-from+1)])
}

// fresh returns a few random bytes.
func (m mutator) fresh() []byte {
	b := make([]byte, 1+m.IntN(16))
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}
