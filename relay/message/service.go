// Package message is the life of a message: from the carrier through the ratchet
// into the store and on to the business's webhook, and from the business's request
// through the store and the ratchet to the carrier, with the receipts of both
// directions. It decides what is written together and in which order, so that a
// crash at any point loses nothing and forks no session. It must not know how a
// carrier, a database or the HTTP interface works.
//
// # Order of writes
//
// In: one transaction holds the ratchet step, the sealed message, the ciphertext's
// hash and the webhook's job; then the carrier is told that it was taken. What
// arrives together shares a commit and is told together (see group.go). Out: one
// transaction holds the sealed message and its job, then the business is told that
// it was accepted; later one transaction holds the ratchet step and the ciphertext,
// then the ciphertext is sent; after a crash the same ciphertext is sent again.
// The store runs the functions of its updates one after another, so that encryption
// and decryption for one peer never overlap.
package message

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Service is one relay's messages. It implements carrier.Handler. It is safe for
// concurrent use.
type Service struct {
	Options
	wakeOutbox func() // says that there is a new job for the outbox
	outbox     *queue.Runner
	downloads  *queue.Runner
	link       link
	dirty      chan struct{}
	owed       atomic.Bool // keys changed while there was no link to publish them on
	counts     counters
	typing     typing
	blocks     blocks
	transfers  *semaphore.Weighted // of maxTransfers: files on their way to the carrier

	mu sync.Mutex // guards the following fields
	// fetched holds when the devices of customers were last learned from the
	// carrier, since the link is up.
	fetched map[store.CustomerID]time.Time
	// missing holds when a device was last found to publish no bundle.
	missing map[device]time.Time
	// repaired holds when a new session was last offered to a device.
	repaired map[device]time.Time

	// classes counts what the session layer refused, by omemo.Class.
	classes tally[string]
	// quotas counts what was refused because of the quota.
	quotas tally[OverQuota]
}

// New returns a Service; call Run, and give it to a carrier as its handler.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		Options:   o,
		dirty:     make(chan struct{}, 1),
		fetched:   map[store.CustomerID]time.Time{},
		missing:   map[device]time.Time{},
		repaired:  map[device]time.Time{},
		blocks:    blocks{changed: make(chan struct{}, 1)},
		transfers: semaphore.NewWeighted(maxTransfers),
	}
	s.wakeOutbox = func() { s.outbox.Wake() }
	s.outbox = queue.New(queue.Options{
		Name: QueueOutbox, Backend: Queue(o.Store, QueueOutbox), Worker: s.work, Workers: outboxWorkers,
		HoldLane: true, Open: s.link.usable, Now: o.Now, Log: o.Log,
	})
	if o.Files != nil {
		o.Files.known = &origin{}
	}
	s.downloads = queue.New(queue.Options{
		Name: QueueMedia, Backend: Queue(o.Store, QueueMedia), Worker: s.download, Workers: downloadWorkers, Now: o.Now, Log: o.Log,
	})
	return s
}

// outboxWorkers is how many customers are served at once: a worker waits for the
// carrier's acknowledgement, which takes a busy server a while. maxTransfers of them
// may be at a file, which takes half a megabyte of memory.
const (
	outboxWorkers = 256
	maxTransfers  = 32
)

// Run sends what is queued and keeps our keys published, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	defer s.typing.stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.outbox.Run(ctx) })
	g.Go(func() error { return s.downloads.Run(ctx) })
	g.Go(func() error { return s.mirrorBlocked(ctx) })
	g.Go(func() error { return s.keepPublished(ctx) })
	return g.Wait()
}

// connected notes that the link is up.
func (s *Service) connected(resumed bool) {
	if s.linkUp(resumed) {
		s.mirrorSoon()
	}
	s.outbox.Hurry()
	s.downloads.Hurry()
}

// Count returns how often an event happened since the process started.
func (s *Service) Count(e Event) int64 { return s.counts.get(e) }

// Refused returns how often something was refused for a reason, one of
// omemo.Classes, since the process started.
func (s *Service) Refused(class string) int64 { return s.classes.get(class) }
