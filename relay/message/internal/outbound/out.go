// Package outbound is the way of a message to a customer: accepted from the business,
// encrypted, sent, sent again where it came back or could not be read, and told to the
// business at each state; and of all else that the relay sends to customers' clients. It
// must not know how a customer's message is read.
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
	typing    typing
	transfers *semaphore.Weighted // of maxTransfers: files on their way to the carrier
}
