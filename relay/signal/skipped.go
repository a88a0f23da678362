package signal

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

const (
	// MaxSkip is how many messages of a chain one message may skip.
	MaxSkip = 1000
	// MaxSkipped is how many keys of messages that have not come yet a record keeps in all its
	// sessions together. The oldest are dropped first.
	MaxSkipped = 1000
	// SkippedLifetime is how long such a key is kept.
	SkippedLifetime = 7 * 24 * time.Hour
)

// skippedKey is the key of a message that was skipped.
type skippedKey struct {
	index uint32
	since uint32 // Unix time, seconds
	seed  secret
}

// take returns the seed of message number index and moves c, which must be the caller's own copy,
// past it. It never writes to c.skipped, which others share.
func (c *receiveChain) take(index uint32, now time.Time) (secret, error) {
	if index < c.next {
		return c.takeSkipped(index)
	}
	if index-c.next > MaxSkip || index == math.MaxUint32 {
		return secret{}, fmt.Errorf("reading chain: %w", ErrTooFarAhead)
	}
	if index > c.next {
		skipped := make([]skippedKey, len(c.skipped), len(c.skipped)+int(index-c.next))
		copy(skipped, c.skipped)
		since := unixSeconds(now)
		for ; c.next < index; c.next++ {
			skipped = append(skipped, skippedKey{index: c.next, since: since, seed: messageSeed(&c.key)})
			c.key = nextChain(&c.key)
		}
		c.skipped = skipped
	}
	seed := messageSeed(&c.key)
	c.key = nextChain(&c.key)
	c.next++
	return seed, nil
}

func (c *receiveChain) takeSkipped(index uint32) (secret, error) {
	i, found := sort.Find(len(c.skipped), func(i int) int { return int(int64(index) - int64(c.skipped[i].index)) })
	if !found {
		return secret{}, fmt.Errorf("reading chain: %w", ErrReplay)
	}
	seed := c.skipped[i].seed
	c.skipped = slices.Concat(c.skipped[:i], c.skipped[i+1:])
	return seed, nil
}

// unixSeconds is the time in 32 bits, enough until 2106.
func unixSeconds(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), math.MaxUint32))
}

// countSkipped counts the skipped keys of a session.
func (s *session) countSkipped() int {
	n := 0
	for i := range s.receive {
		n += len(s.receive[i].skipped)
	}
	return n
}

// expired counts the chain's keys that are older than SkippedLifetime. They come first, because a
// higher index is never skipped earlier.
func (c *receiveChain) expired(now time.Time) int {
	oldest := unixSeconds(now.Add(-SkippedLifetime))
	n := 0
	for n < len(c.skipped) && c.skipped[n].since < oldest {
		n++
	}
	return n
}

// expireSkipped returns s, or a copy of it without the keys that are too old.
func (s *session) expireSkipped(now time.Time) *session {
	next := s
	for i := range s.receive {
		if n := s.receive[i].expired(now); n > 0 {
			if next == s {
				next = new(*s)
			}
			next.receive[i].skipped = slices.Clone(s.receive[i].skipped[n:])
		}
	}
	return next
}

// dropSkipped returns a copy of s with excess fewer skipped keys, or with none. Keys of the oldest
// chains are dropped first.
func (s *session) dropSkipped(excess int) *session {
	next := new(*s)
	for i := len(next.receive) - 1; i >= 0 && excess > 0; i-- {
		c := &next.receive[i]
		if n := min(excess, len(c.skipped)); n > 0 {
			c.skipped = slices.Clone(c.skipped[n:])
			excess -= n
		}
	}
	return next
}
