// Package message is the life of a message: from the carrier through the ratchet into the
// store and on to the business's webhook, and from the business's request through the store
// and the ratchet to the carrier, with the receipts in both directions. It decides what is
// written together and in which order, so that a crash at any point loses nothing and forks no
// session. It must not know how a carrier, a database or the HTTP interface works.
//
// # Order of writes
//
// In: one transaction writes the ratchet step, the sealed message, the ciphertext's hash and
// the webhook's job; then the carrier is told that the message was handled. What arrives
// together shares a commit and is reported together (see receive.go). Out: one transaction
// writes the sealed message and its job, then the business is told that it was accepted;
// later one transaction writes the ratchet step and the ciphertext, then the ciphertext is
// sent; after a crash the same ciphertext is sent again. The store runs the functions of its
// updates one after another, so that encryption and decryption for one peer never overlap.
package message

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/delivery"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/history"
	"github.com/relaykeep/relaykeep/relay/message/internal/inbound"
	"github.com/relaykeep/relaykeep/relay/message/internal/outbound"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/person"
)

// Service is one relay's messages. It implements carrier.Handler. It is safe for
// concurrent use.
type Service struct {
	base      *base.Base
	peers     *peers.Peers
	blocklist *blocklist.List
	files     *files.Keeper
	inbound   *inbound.Inbound
	outbound  *outbound.Outbound
	delivery  *delivery.Webhooks
	people    *person.People
	history   *history.History
}

// New returns a Service; call Run, and give it to a carrier as its handler.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Conduct == nil {
		o.Conduct, _ = conduct.Open(nil, 0, o.Now()) // there is no state that it could not read
	}
	b := &base.Base{Options: o}
	s := &Service{base: b, peers: peers.New(b), blocklist: blocklist.New(b), files: files.New(b), delivery: delivery.New(b)}
	s.outbound = outbound.New(b, s.peers, s.blocklist, s.files)
	b.Receipt = func(ctx context.Context, r carrier.Receipt) error {
		alone := &base.Batch{Store: b.Store, Came: b.Now()}
		s.outbound.Receipt(ctx, alone, r)
		return alone.Settle()
	}
	s.inbound = inbound.New(b, s.peers, s.blocklist, s.files)
	s.people = person.New(b, s.peers, s.blocklist, s.files, s.outbound)
	s.history = history.New(b)
	return s
}

// Run sends what is queued and keeps our keys published, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.outbound.Run(ctx) })
	g.Go(func() error { return s.inbound.Run(ctx) })
	g.Go(func() error { return s.blocklist.MirrorBlocked(ctx) })
	g.Go(func() error { return s.peers.KeepPublished(ctx) })
	return g.Wait()
}

// Published says whether the carrier has our keys, published since the process started: without them
// no customer can write to us.
func (s *Service) Published() bool { return s.peers.Published() }

// Count returns how often an event happened since the process started.
func (s *Service) Count(e Event) int64 { return s.base.Counts.Get(e) }

// Refused returns how often something was refused for a reason, one of
// omemo.Classes, since the process started.
func (s *Service) Refused(class string) int64 { return s.base.Classes.Get(class) }

// OverQuota returns how often something was refused because of the quota, since the
// process started.
func (s *Service) OverQuota(what OverQuota) int64 { return s.base.Quotas.Get(what) }
