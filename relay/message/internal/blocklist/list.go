// Package blocklist keeps the list of customers whom the business has blocked. The list in
// the store counts; the carrier's is kept the same. The package must not know what blocked
// customers send.
package blocklist

import "github.com/relaykeep/relaykeep/relay/message/internal/base"

// List is a business's block list.
type List struct {
	*base.Base
	blocks blocks
}

// New returns the list, not read yet.
func New(b *base.Base) *List {
	return &List{Base: b, blocks: blocks{changed: make(chan struct{}, 1)}}
}
