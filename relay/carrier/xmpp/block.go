package xmpp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const nsBlocking = "urn:xmpp:blocking" // XEP-0191

// Bounds on the block list.
const (
	// blockBatch is how many addresses one request names: servers store the whole list
	// with each, and answer with what they were sent.
	blockBatch = 500
	// maxBlocklist is how many addresses the server's list may have. We put 64,000 on it.
	maxBlocklist = 100_000
	// blockEntry is the most that an entry takes, without its domain, in bytes.
	blockEntry = 64
)

var _ carrier.Blocker = (*Carrier)(nil)

// Blocked implements carrier.Blocker. Addresses on the list that are no numbers of
// our domain are left out. The server answers in one stanza, however long the list is
// (XEP-0191, 3.3): it is read entry by entry.
func (c *Carrier) Blocked(ctx context.Context) ([]phone.Number, error) {
	var numbers []phone.Number
	list := &taker{
		elements: maxBlocklist, bytes: maxBlocklist * (blockEntry + len(c.addr.domain)),
		take: func(item *element) {
			if o, n := c.addr.origin(item.attr("jid")); item.is(nsBlocking, "item") && o == fromPeer {
				numbers = append(numbers, n)
			}
		},
	}
	if _, err := c.put(ctx, &question{list: list}, "get", elem(nsBlocking, "blocklist")); err != nil {
		return nil, fmt.Errorf("reading the block list: %w", blockError(err))
	}
	return numbers, nil
}

// Block implements carrier.Blocker.
func (c *Carrier) Block(ctx context.Context, numbers []phone.Number) error {
	return c.changeBlocked(ctx, "block", numbers)
}

// Unblock implements carrier.Blocker.
func (c *Carrier) Unblock(ctx context.Context, numbers []phone.Number) error {
	return c.changeBlocked(ctx, "unblock", numbers)
}

// changeBlocked never sends an empty request, which would unblock everybody.
func (c *Carrier) changeBlocked(ctx context.Context, what string, numbers []phone.Number) error {
	for batch := range slices.Chunk(numbers, blockBatch) {
		request := elem(nsBlocking, what)
		for _, n := range batch {
			request.with(elem(nsBlocking, "item", "jid", c.addr.of(n)))
		}
		if _, err := c.instruct(ctx, request); err != nil {
			return fmt.Errorf("changing the block list: %w", blockError(err))
		}
	}
	return nil
}

func blockError(err error) error {
	if isCondition(err, "service-unavailable", "feature-not-implemented") {
		return errors.Join(carrier.ErrNotFound, err)
	}
	return publishError(err)
}
