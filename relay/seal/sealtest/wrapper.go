// Package sealtest stands in for the vault that wraps data keys, in tests of what lies
// above it. It must not know who seals what.
package sealtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"sync"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Wrapper hands out data keys by name, can be away and can erase. It is a seal.Wrapper
// that any number of goroutines may use.
type Wrapper struct {
	mu     sync.Mutex // guards the following fields
	keys   map[string][]byte
	order  []string // the names of the keys, in the order in which they were made
	given  [][]byte
	away   error
	erased map[string]bool
	size   int
}

// New returns a wrapper without keys that can be reached.
func New() *Wrapper {
	return &Wrapper{keys: map[string][]byte{}, erased: map[string]bool{}, size: seal.KeySize}
}

// NewSized returns a wrapper whose keys have another size than the keyring's, in bytes.
func NewSized(size int) *Wrapper {
	w := New()
	w.size = size
	return w
}

// DataKey makes a data key (seal.Wrapper).
func (w *Wrapper) DataKey(context.Context) (key []byte, wrapped string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return nil, "", w.away
	}
	key = make([]byte, w.size)
	_, _ = rand.Read(key)
	wrapped = rand.Text()
	w.keys[wrapped] = key
	w.order = append(w.order, wrapped)
	return w.give(key), wrapped, nil
}

// Unwrap returns a data key again (seal.Wrapper).
func (w *Wrapper) Unwrap(_ context.Context, wrapped string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return nil, w.away
	}
	key, ok := w.keys[wrapped]
	if !ok || w.erased[wrapped] {
		return nil, seal.ErrErased
	}
	return w.give(key), nil
}

// give returns a copy of a key, and remembers it. The caller holds mu.
func (w *Wrapper) give(key []byte) []byte {
	given := bytes.Clone(key)
	w.given = append(w.given, given)
	return given
}

// Given returns the very slices that were handed out, to see whether they are cleared.
func (w *Wrapper) Given() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.given)
}

// Names returns the wrapped forms of all data keys, in the order in which they were
// made.
func (w *Wrapper) Names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.order)
}

// SetAway makes every call fail with err; nil ends it.
func (w *Wrapper) SetAway(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = err
}

// Erase makes data keys unreadable, until Restore.
func (w *Wrapper) Erase(wrapped ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range wrapped {
		w.erased[name] = true
	}
}

// Restore makes every data key readable again, as a restored vault does.
func (w *Wrapper) Restore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.erased)
}
