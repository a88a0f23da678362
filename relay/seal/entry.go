package seal

import (
	"sync"
)

// entry is one epoch with its data key.
type entry struct {
	Epoch

	mu      sync.RWMutex // guards the following fields
	key     [KeySize]byte
	gone    bool
	subkeys map[string]*subkey
}

// newEntry copies the key from plain and overwrites plain.
func newEntry(e Epoch, plain []byte) (*entry, error) {
	defer clear(plain)
	if len(plain) != KeySize {
		return nil, ErrBadKey
	}
	n := &entry{Epoch: e, subkeys: make(map[string]*subkey)}
	copy(n.key[:], plain)
	return n, nil
}

// destroy overwrites the key. A nil entry is allowed.
func (e *entry) destroy() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.key[:])
	e.gone = true
	e.subkeys = nil
}

// subkey returns the epoch's subkeys of one purpose, or ErrErased.
func (e *entry) subkey(purpose string) (*subkey, error) {
	e.mu.RLock()
	s, gone := e.subkeys[purpose], e.gone
	e.mu.RUnlock()
	if gone {
		return nil, ErrErased
	}
	if s != nil {
		return s, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return nil, ErrErased
	}
	if s = e.subkeys[purpose]; s != nil {
		return s, nil
	}
	s, err := newSubkey(&e.key, purpose)
	if err != nil {
		return nil, err
	}
	e.subkeys[purpose] = s
	return s, nil
}

// worn reports whether some subkey has sealed half of what it may.
func (e *entry) worn() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, s := range e.subkeys {
		if s.sealed.Load() >= softLimit {
			return true
		}
	}
	return false
}
