package outbound

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// New returns an Outbound.
func New(b *base.Base, p *peers.Peers, l *blocklist.List, f *files.Keeper) *Outbound {
	s := &Outbound{Base: b, peers: p, blocklist: l, files: f, transfers: semaphore.NewWeighted(maxTransfers)}
	s.outbox = queue.New(queue.Options{
		Name: base.QueueOutbox, Backend: base.Queue(b.Store, base.QueueOutbox), Worker: s.work, Workers: workers,
		HoldLane: true, Open: p.Reachable, Now: b.Now, Log: b.Log,
	})
	s.confirming = queue.New(queue.Options{
		Name: base.QueueReceipts, Backend: base.Queue(b.Store, base.QueueReceipts), Batch: s.confirm, MaxBatch: maxReceipts,
		Workers: receiptWorkers, Open: p.Reachable, Now: b.Now, Log: b.Log,
	})
	return s
}

// wake has what waits for the link be tried.
func (s *Outbound) wake() {
	s.outbox.Wake()
	s.confirming.Wake()
}

// Run sends what is queued until ctx ends.
func (s *Outbound) Run(ctx context.Context) error {
	defer s.typing.stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.outbox.Run(ctx) })
	g.Go(func() error { return s.confirming.Run(ctx) })
	return g.Wait()
}

// Hurry retries now what could not be sent, because the link is up.
func (s *Outbound) Hurry() {
	s.outbox.Hurry()
	s.confirming.Hurry()
}

// Forget forgets what memory holds of a customer who was erased.
func (s *Outbound) Forget(c store.CustomerID) {
	s.typing.forget(c)
	s.ahead.forget(c)
}

// workers is how many customers are served at once: a worker waits for the carrier's
// acknowledgement, which takes a busy server a while. Up to maxTransfers workers may transfer
// a file, which takes half a megabyte of memory.
const (
	workers      = 256
	maxTransfers = 32
)

// Receipts are sent maxReceipts at a time by each of receiptWorkers: fewer than the carrier acknowledges in a second
// would fall behind the messages that they are for.
const (
	receiptWorkers = 16
	maxReceipts    = 64
)
