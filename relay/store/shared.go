package store

import (
	"hash"

	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/seal"
)

// shared is what all transactions of a store share: its keys, and what the writer remembers
// from one change to the next.
type shared struct {
	keys     *seal.Keyring
	settings *seal.Keyring // of the settings, the store's own
	sumKey   int64         // of the settings' keys, the one for the sum
	batch    int64         // bytes that one change should delete at most
	country  string        // of customers whose number has none; may be empty

	memory *memory // nil: content is stored

	lately    lately
	listeners listeners

	// Only the writer uses the following fields once the store is open.
	next      nextIDs
	seenMAC   hash.Hash
	usage     map[CustomerID]int64 // what customers use, as far as it was counted
	hot       hot
	counts    map[int64]Count             // of the running group, by period
	metered   map[metered]metering.Amount // of the running group
	then      []func()                    // of the running group
	total     sum                         // of sessions and pre-keys, the running group's included
	committed sum                         // the same without that group
	observed  observed
}

// nextIDs are the next row identifiers of the tables that count up. A sealed value is bound to
// its identifier, so that must be known before the row is written. An identifier that was given
// out is not used again while the store is open.
type nextIDs struct{ device, session, message, seen, request, job int64 }

// take returns the value and increments it.
func take(n *int64) int64 {
	v := *n
	*n++
	return v
}
