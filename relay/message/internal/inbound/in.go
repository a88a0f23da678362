// Package inbound takes a customer's message from the carrier through the ratchet into the
// store with its webhook, and fetches the files that it names. It must not know how anything
// is sent: it leaves that to the outbox as a task.
package inbound

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/queue"
)

// Inbound receives what customers send.
type Inbound struct {
	*base.Base
	peers     *peers.Peers
	blocklist *blocklist.List
	files     *files.Keeper
	downloads *queue.Runner
}

// Run fetches customers' files until ctx ends.
func (s *Inbound) Run(ctx context.Context) error { return s.downloads.Run(ctx) }

// Hurry retries now what could not be fetched, because the link is up.
func (s *Inbound) Hurry() { s.downloads.Hurry() }
