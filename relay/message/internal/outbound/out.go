// Package outbound takes a message from the business to a customer: it accepts and encrypts
// it, sends it, sends it again if it came back or could not be read, and tells the business
// about each state. It also sends everything else that customers' clients get. It must not
// know how a customer's message is read.
package outbound

import (
	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/queue"
)

// Outbound sends to customers.
type Outbound struct {
	*base.Base
	peers     *peers.Peers
	blocklist *blocklist.List
	files     *files.Keeper
	outbox    *queue.Runner
	// confirming works off the receipts. They have a queue of their own, in which nothing waits for anything: in the
	// outbox, a text would wait until the receipts before it are acknowledged, one by one.
	confirming *queue.Runner
	typing     typing
	ahead      ahead
	transfers  *semaphore.Weighted // of maxTransfers: files in transfer to the carrier
}
