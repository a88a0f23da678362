package xmpp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const nsBlocking = "urn:xmpp:blocking" // XEP-0191

// Bounds on the block list.
const (
	// blockBatch is how many addresses one request names. Servers store the whole list with
	// each request, and echo what we sent.
	blockBatch = 500
	// maxBlocklist is how many addresses the server's list may have. We put at most 64,000 on
	// it.
	maxBlocklist = 100_000
	// blockEntry is the largest size of an entry without its domain, in bytes.
	blockEntry = 64
)

var _ carrier.Blocker = (*Carrier)(nil)

// Blocked implements carrier.Blocker. It leaves out addresses that are not numbers at our
// domain. The server answers in one stanza, however long the list is (XEP-0191, 3.3), so
// that is read entry by entry.
func (c *Carrier) Blocked(ctx context.Context) ([]phone.Number, error) {
	var numbers []phone.Number
	list := &stanza.LongList{
		Elements: maxBlocklist, Bytes: maxBlocklist * (blockEntry + len(c.addr.Domain)),
		Each: func(item *stanza.Element) {
			if o, n := c.addr.Origin(item.Attr("jid")); item.Is(nsBlocking, "item") && o == stanza.FromPeer {
				numbers = append(numbers, n)
			}
		},
	}
	if _, err := c.questions.put(ctx, &question{list: list}, "get", stanza.New(nsBlocking, "blocklist")); err != nil {
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
		request := stanza.New(nsBlocking, what)
		for _, n := range batch {
			request.With(stanza.New(nsBlocking, "item", "jid", c.addr.Of(n)))
		}
		if _, err := c.questions.set(ctx, request); err != nil {
			return fmt.Errorf("changing the block list: %w", blockError(err))
		}
	}
	return nil
}

func blockError(err error) error {
	if stanza.IsCondition(err, "service-unavailable", "feature-not-implemented") {
		return errors.Join(carrier.ErrNotFound, err)
	}
	return publishError(err)
}
