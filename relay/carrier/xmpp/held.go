package xmpp

import (
	"context"
	"sync"
)

// maxHeldBytes bounds what is held back, with Config.holdBack: it is what arrives at 500 messages a second while a server
// brings tens of thousands. Beyond it the archive has to be read faster than messages arrive.
const maxHeldBytes = 24 << 20

// held are messages that arrived while the archive is read. They are newer than what it had before, and
// a conversation's ratchet goes on with each turn: what is read a few turns late cannot be opened any more. So they
// wait until the archive has brought what it had when the stream began. What there is no room for is dropped, and the
// archive is read until it has brought that as well.
//
// They count as handled at once: the archive has them, behind our position, and brings them again if the link or the
// process ends first.
type held struct {
	mu      sync.Mutex // guards the following fields
	on      bool
	most    int // of items
	items   []item
	ids     map[string]struct{} // of items
	bytes   int64
	until   string // the id at which the archive ended; empty while that is not known
	reached bool   // the archive has brought it
	owed    string // the id of the last message that was dropped and that the archive has not brought; empty for none
}

// begin holds messages back from now on.
func (h *held) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.until, h.reached, h.owed = true, "", false, ""
	if h.ids == nil {
		h.ids = map[string]struct{}{}
	}
}

// waitFor says at which id the archive ended.
func (h *held) waitFor(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = id
}

// owing is the id of the last message that was dropped and has not come; empty for none.
func (h *held) owing() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.owed
}

// finish is called after a page. If the archive has brought what it had when the stream began, or says that it has no more,
// and has brought what was dropped, it returns what is held; once that is nothing, it is done, and nothing is held any more.
// What was owed before a page that had no more, and still is, came earlier: servers send again what was not acknowledged.
func (h *held) finish(owed string, noMore bool) (rest []item, done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if noMore {
		h.reached = true
		if h.owed == owed {
			h.owed = ""
		}
	}
	if !h.reached || h.owed != "" {
		return nil, false
	}
	rest = h.take()
	h.on = len(rest) > 0 // what arrives before they are passed on comes after them
	return rest, !h.on
}

// hold takes a message that the archive has, and says whether it did: it is held back or, without room, dropped. After
// one that was dropped all are, until the archive has brought it: their order stays.
func (h *held) hold(it item) (taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.on || it.archive == "" {
		return false
	}
	if h.owed != "" || len(h.items) >= h.most || h.bytes+it.size > maxHeldBytes {
		h.owed = it.archive
		return true
	}
	h.items, h.bytes = append(h.items, it), h.bytes+it.size
	h.ids[it.archive] = struct{}{}
	return true
}

// came forgets a message that the archive brought.
func (h *held) came(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reached = h.reached || id != "" && id == h.until
	if id == h.owed {
		h.owed = ""
	}
	if _, is := h.ids[id]; !is {
		return
	}
	delete(h.ids, id)
	for i, it := range h.items { // it is the first, unless the archive is in another order
		if it.archive != id {
			continue
		}
		h.bytes -= it.size
		if i == 0 {
			h.items = h.items[1:]
		} else {
			h.items = append(h.items[:i], h.items[i+1:]...)
		}
		return
	}
}

// take returns what is held and forgets it. The caller holds mu.
func (h *held) take() []item {
	rest := h.items
	h.items, h.bytes = nil, 0
	clear(h.ids)
	return rest
}

// end holds nothing back any more although the archive cannot be read, and returns what was. What was dropped comes when it
// can be: until then our position stays before it.
func (h *held) end() []item {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = false
	return h.take()
}

// release gives the Handler what was held back.
func (s *service) release(ctx context.Context, rest []item) {
	for _, it := range rest {
		it.counted = false // it was, when it arrived
		s.enqueue(ctx, it)
	}
}
