package conduct

import (
	"hash/maphash"
	"math"
	"math/bits"
)

// sketchBits is the size of a sketch: 8 KiB, with which the estimate is within 2 % up to some 300,000 members.
const sketchBits = 1 << 16

// sketch counts distinct members without keeping them: linear counting (Whang et al., "A Linear-Time Probabilistic Counting
// Algorithm for Database Applications", 1990). Its key is drawn for each hour, stays in memory and goes with the hour, so
// that nobody can ask an old sketch about anybody. The zero sketch is empty.
type sketch struct {
	key  maphash.Seed
	bits []uint64 // nil while it is empty
}

// add adds a member, and says whether it may be new: a member that was added before never is.
func (s *sketch) add(member string) bool {
	if s.bits == nil {
		s.key, s.bits = maphash.MakeSeed(), make([]uint64, sketchBits/64)
	}
	at := maphash.String(s.key, member) % sketchBits
	word, bit := &s.bits[at/64], uint64(1)<<(at%64)
	isNew := *word&bit == 0
	*word |= bit
	return isNew
}

// count estimates how many members there are.
func (s *sketch) count() int64 {
	empty := sketchBits
	for _, word := range s.bits {
		empty -= bits.OnesCount64(word)
	}
	return int64(math.Round(-sketchBits * math.Log(float64(max(empty, 1))/sketchBits)))
}
