package xmpp

import (
	"context"
	"sync"
)

// Bounds of what is held back.
const (
	maxHeld      = 1000
	maxHeldBytes = 4 << 20
)

// held are messages that arrived while the archive is read. They are newer than what it had before, and
// a conversation's ratchet goes on with each turn: what is read a few turns late cannot be opened any more. So they
// wait until the archive has brought what it had when the stream began, as long as there is room for them.
//
// They count as handled at once: the archive has them, behind our position, and brings them again if the link or the
// process ends first.
type held struct {
	mu      sync.Mutex // guards the following fields
	on      bool
	items   []item
	bytes   int64
	until   string // the id at which the archive ended; empty while that is not known
	reached bool   // the archive has brought it
}

// begin holds messages back from now on.
func (h *held) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.until, h.reached = true, "", false
}

// waitFor says at which id the archive ended.
func (h *held) waitFor(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = id
}

// enough says whether the archive has brought what it had.
func (h *held) enough() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reached
}

// hold takes a message that the archive has, and says whether it did. Full says that no other will be taken.
func (h *held) hold(it item) (taken, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.on || it.archive == "" {
		return false, false
	}
	if len(h.items) >= maxHeld || h.bytes+it.size > maxHeldBytes {
		return false, true
	}
	h.items, h.bytes = append(h.items, it), h.bytes+it.size
	return true, false
}

// came forgets a message that the archive brought.
func (h *held) came(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reached = h.reached || id != "" && id == h.until
	for i, it := range h.items {
		if it.archive == id {
			h.items, h.bytes = append(h.items[:i], h.items[i+1:]...), h.bytes-it.size
			return
		}
	}
}

// end holds nothing back any more, and returns what was.
func (h *held) end() []item {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := h.items
	h.on, h.items, h.bytes = false, nil, 0
	return rest
}

// release gives the Handler what was held back.
func (s *service) release(ctx context.Context) {
	for _, it := range s.held.end() {
		it.counted = false // it was, when it arrived
		s.enqueue(ctx, it)
	}
}
