package seal

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"
)

// ephemeralTurn is how long an Ephemeral seals with one key.
const ephemeralTurn = time.Minute

// Ephemeral seals values under keys that exist in this process's memory only: no wrapper ever gets
// them, so a value cannot be opened by anybody once the process ended or its key's life did. It is
// safe for concurrent use.
type Ephemeral struct {
	life time.Duration
	now  func() time.Time

	mu      sync.Mutex // guards the following fields
	entries map[int64]*entry
	current *entry // nil: none was made yet
}

// Ephemeral returns an Ephemeral with k's clock. A key is destroyed when it is as old as life, at
// least two minutes; since each is used for a minute, a value can be opened for at most life, and at
// least for a minute less.
func (k *Keyring) Ephemeral(life time.Duration) *Ephemeral {
	return &Ephemeral{life: max(life, 2*ephemeralTurn), now: k.now, entries: make(map[int64]*entry)}
}

// Life is how long a value can be opened at most.
func (e *Ephemeral) Life() time.Duration { return e.life }

// Seal encrypts plaintext for one row under the present key, and returns that key's random
// identifier, which is never 0. Purpose and row are those of Keyring.Seal.
func (e *Ephemeral) Seal(purpose string, row, plaintext []byte) (key int64, value []byte, err error) {
	key, err = e.Current()
	if err != nil {
		return 0, nil, err
	}
	value, err = e.SealIn(key, purpose, row, plaintext)
	return key, value, err
}

// Current returns the identifier of the key that Seal uses, and makes one when that is due.
func (e *Ephemeral) Current() (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if c := e.current; c != nil && now.Sub(c.Created).Abs() < ephemeralTurn && !c.worn() {
		return c.ID, nil
	}
	e.expire(now)
	var id [8]byte
	plain := make([]byte, KeySize)
	if _, err := rand.Read(id[:]); err != nil {
		return 0, fmt.Errorf("drawing a key's identifier: %w", err)
	}
	if _, err := rand.Read(plain); err != nil {
		return 0, fmt.Errorf("drawing a key: %w", err)
	}
	n, err := newEntry(Epoch{ID: int64(binary.BigEndian.Uint64(id[:])&math.MaxInt64) | 1, Created: now}, plain)
	if err != nil {
		return 0, err
	}
	e.entries[n.ID], e.current = n, n
	return n.ID, nil
}

// SealIn is Seal under a given key, for values that change but must not live longer. It returns
// ErrErased when the key is gone.
func (e *Ephemeral) SealIn(key int64, purpose string, row, plaintext []byte) ([]byte, error) {
	s, err := e.subkey(key, purpose)
	if err != nil {
		return nil, err
	}
	return s.seal(key, purpose, row, plaintext)
}

// Open decrypts a value that was sealed for the same purpose and row under the given key. It returns
// ErrErased when the key is gone, or of another process, and ErrTampered when the value is not what
// was sealed.
func (e *Ephemeral) Open(key int64, purpose string, row, value []byte) ([]byte, error) {
	s, err := e.subkey(key, purpose)
	if err != nil {
		return nil, err
	}
	return s.open(key, purpose, row, value)
}

func (e *Ephemeral) subkey(key int64, purpose string) (*subkey, error) {
	e.mu.Lock()
	n := e.entries[key]
	if n != nil && e.over(n, e.now()) {
		e.drop(n)
		n = nil
	}
	e.mu.Unlock()
	if n == nil {
		return nil, ErrErased
	}
	return n.subkey(purpose)
}

// First returns which of two keys ends first; 0 stands for the one that Seal uses next. A key that is gone has ended.
func (e *Ephemeral) First(a, b int64) int64 {
	if a == 0 || b == 0 || a == b {
		return max(a, b)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch x, y := e.entries[a], e.entries[b]; {
	case x == nil, y != nil && x.Created.Before(y.Created):
		return a
	}
	return b
}

// Expire destroys the keys whose life is over. Nothing can be opened with one even before. Call it
// every minute or so.
func (e *Ephemeral) Expire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expire(e.now())
}

func (e *Ephemeral) expire(now time.Time) {
	for _, n := range e.entries {
		if e.over(n, now) {
			e.drop(n)
		}
	}
}

// over says whether a key's life is over. A clock that was set back ends it, too: nothing says how
// long ago the key was made.
func (e *Ephemeral) over(n *entry, now time.Time) bool {
	age := now.Sub(n.Created)
	return age >= e.life || age < -ephemeralTurn
}

// drop destroys a key. The caller holds mu.
func (e *Ephemeral) drop(n *entry) {
	delete(e.entries, n.ID)
	if e.current == n {
		e.current = nil
	}
	n.destroy()
}

// Close destroys all keys.
func (e *Ephemeral) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.entries {
		e.drop(n)
	}
}
