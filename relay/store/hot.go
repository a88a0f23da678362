package store

import "slices"

// Bounds of what the writer remembers.
const (
	maxHotCustomers = 1 << 10
	maxHotMessages  = 1 << 9
	maxHotBytes     = 4 << 20 // of messages, sealed
)

// hot is what the writer remembers of rows that it read or wrote last, as they are in the database
// once the running group has committed: still sealed. Reading what was just written took a sixth
// of a message's time. Nobody else writes to the database while the store is open.
//
// Only the writer uses it, and only for updates: a view's snapshot may be older.
type hot struct {
	customers map[CustomerID]*hotCustomer
	lookups   map[[32]byte]CustomerID // HMACs of numbers and user ids
	messages  map[string]sealedMessage
	ids       []string // of the messages, in the order in which they came
	bytes     int      // of the messages' sealed values
	// changed says that the running change wrote to the tables that rows are remembered of: it may
	// still be undone, and what was read since with it.
	changed bool
}

// hotCustomer are the rows of one customer, as far as they are known.
type hotCustomer struct {
	row      *sealedCustomer
	devices  *[]child
	sessions *[]child
}

// forget forgets everything.
func (h *hot) forget() { *h = hot{changed: h.changed} }

// begin begins a change. What one before it wrote and did not keep was undone.
func (h *hot) begin() {
	if h.changed {
		*h = hot{}
	}
}

// keep says that what the running change wrote will commit with its group.
func (h *hot) keep() { h.changed = false }

// of returns the place for a customer's rows.
func (h *hot) of(id CustomerID) *hotCustomer {
	c := h.customers[id]
	if c == nil {
		if h.customers == nil || len(h.customers) >= maxHotCustomers {
			h.customers, h.lookups = map[CustomerID]*hotCustomer{}, map[[32]byte]CustomerID{}
		}
		c = &hotCustomer{}
		h.customers[id] = c
	}
	return c
}

// found returns the customer's row that a lookup found in an epoch before, nil when it is not known.
func (h *hot) found(mac [32]byte, epoch int64) *sealedCustomer {
	c := h.customers[h.lookups[mac]]
	if c == nil || c.row == nil || c.row.epoch != epoch {
		return nil // it has moved since, and its HMAC with it
	}
	return c.row
}

// putCustomer remembers a customer's row and how it is found. It must be where its epoch says.
func (h *hot) putCustomer(s sealedCustomer, macs ...[32]byte) {
	h.of(s.id).row = &s
	for _, mac := range macs {
		h.lookups[mac] = s.id
	}
}

// putChild remembers a written row among those of its customer, if these are known.
func putChild(known *[]child, row child) {
	if known == nil {
		return
	}
	if i := slices.IndexFunc(*known, func(c child) bool { return c.id == row.id }); i >= 0 {
		(*known)[i] = row
		return
	}
	*known = append(*known, row) // ids grow
}

// putMessage remembers a message's row.
func (h *hot) putMessage(s sealedMessage) {
	if h.messages == nil || h.bytes > maxHotBytes {
		h.messages, h.ids, h.bytes = map[string]sealedMessage{}, nil, 0
	}
	if old, ok := h.messages[s.id]; ok {
		h.bytes -= len(old.sealed)
	} else {
		h.ids = append(h.ids, s.id)
	}
	h.messages[s.id] = s
	h.bytes += len(s.sealed)
	if len(h.ids) > maxHotMessages {
		h.bytes -= len(h.messages[h.ids[0]].sealed)
		delete(h.messages, h.ids[0])
		h.ids = h.ids[1:]
	}
}
