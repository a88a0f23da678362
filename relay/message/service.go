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

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Store is what the life of a message needs of the store.
type Store interface {
	// Update runs fn, never two at once, and returns when what it wrote is durable.
	// When it returns an error nothing of fn may be relied on to be written.
	Update(ctx context.Context, fn func(*store.Tx) error) error
	// Begin is Update in two steps, the second of which waits.
	Begin(ctx context.Context, fn func(*store.Tx) error) (wait func() error)
	// Shrink is Update for what makes room: it has room on a full volume, too. It may run
	// fn twice.
	Shrink(ctx context.Context, fn func(*store.Tx) error) error
	// View runs fn on a consistent snapshot.
	View(ctx context.Context, fn func(*store.Tx) error) error
}

// Link is what it needs of the carrier; carrier.Carrier has it.
type Link interface {
	PublishDevices(ctx context.Context, devices []carrier.DeviceID) error
	PublishBundle(ctx context.Context, device carrier.DeviceID, b carrier.Bundle) error
	Devices(ctx context.Context, peer phone.Number) ([]carrier.DeviceID, error)
	Bundle(ctx context.Context, peer phone.Number, device carrier.DeviceID) (carrier.Bundle, error)
	Send(ctx context.Context, o carrier.Outgoing) error
	SendReceipt(ctx context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error
	SendTyping(ctx context.Context, to phone.Number, composing bool) error
	Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error
}

// Options say whose messages they are. All but Files, Now and Log are required.
type Options struct {
	Store   Store
	Link    Link
	Account *omemo.Account
	Webhook webhook.Account
	// Files are the ways that files take; nil when there are none.
	Files *Files
	// Deliveries is called when a webhook was queued.
	Deliveries func()
	// Former is the identity before Account's, while messages to it may still be
	// under way; nil for none.
	Former *Former
	// Forget takes a person off the carrier's contact list; nil where there is none.
	Forget func(ctx context.Context, peer phone.Number) error
	// Scrub leaves nothing of what was deleted in the store's files; nil for a store
	// that needs no asking.
	Scrub func(ctx context.Context) error
	// Retention is how old a message may be.
	Retention time.Duration
	// AcceptUnencrypted passes on what arrives in clear, marked.
	AcceptUnencrypted bool
	// NoNotices keeps from writing to customers how to switch encryption on.
	NoNotices bool
	// Notice is what they are told; empty means this package's own words.
	Notice string
	Now    func() time.Time
	Log    *slog.Logger
}

// Former is an identity that was rotated away. What customers encrypted to it before
// they learned of the next one is read until then; nothing is encrypted with it.
type Former struct {
	Account *omemo.Account
	Until   time.Time
}

// Names of the queues in the store.
const (
	QueueOutbox  = "outbox"
	QueueWebhook = "webhook"
)

// Service is one relay's messages. It implements carrier.Handler. It is safe for
// concurrent use.
type Service struct {
	Options
	outbox    *queue.Runner
	downloads *queue.Runner
	link      link
	dirty     chan struct{}
	owed      atomic.Bool // keys changed while there was no link to publish them on
	counts    counters
	typing    typing
	blocks    blocks
	transfers *semaphore.Weighted // of maxTransfers: files on their way to the carrier

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

// device names one device of a customer.
type device struct {
	customer store.CustomerID
	id       carrier.DeviceID
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
	s.link.connected(resumed)
	if !resumed {
		s.mu.Lock()
		clear(s.fetched)
		s.mu.Unlock()
	}
	if s.owed.Swap(false) || !resumed {
		s.publishSoon()
		s.mirrorSoon()
	}
	s.outbox.Hurry()
	s.downloads.Hurry()
}

// Event is something worth counting. Its values are fit for a metric's label.
type Event string

// The events.
const (
	EventReceived      Event = "received"       // a customer's message was stored
	EventReplayed      Event = "replayed"       // it was stored before, as the same ciphertext or another
	EventTooOld        Event = "too_old"        // refused: older than the retention
	EventUndecryptable Event = "undecryptable"  // it could not be opened
	EventNotForUs      Event = "not_for_us"     // it was not encrypted to us
	EventUntrusted     Event = "untrusted"      // from an identity that is not accepted
	EventNewDevice     Event = "new_device"     // a known customer came with a new device, which is accepted
	EventResent        Event = "resent"         // a message was sent again, into a new session
	EventPlaintext     Event = "plaintext"      // refused: it came in clear
	EventAccepted      Event = "accepted"       // the business's message was stored
	EventSent          Event = "sent"           // the carrier took it
	EventDelivered     Event = "delivered"      // the customer's device has it
	EventRead          Event = "read"           // the customer read it
	EventFailed        Event = "failed"         // it will not arrive
	EventBounced       Event = "bounced"        // it came back for the time being, and will be sent again
	EventIdentity      Event = "identity"       // a customer's device came with a new identity key
	EventForeignDevice Event = "foreign_device" // our account lists a device that is not ours
	EventRepaired      Event = "repaired"       // a new session was offered
	EventTyping        Event = "typing"         // a customer began to write
	EventBlocked       Event = "blocked"        // dropped: it came from a customer whom the business blocked
)

// Events lists all events.
func Events() []Event {
	return []Event{
		EventReceived, EventReplayed, EventTooOld, EventUndecryptable, EventNotForUs, EventUntrusted, EventNewDevice, EventResent,
		EventPlaintext, EventAccepted, EventSent, EventDelivered, EventRead, EventFailed, EventBounced, EventIdentity,
		EventForeignDevice, EventRepaired, EventTyping, EventBlocked,
	}
}

// counters counts events since the process started.
type counters = tally[Event]

// tally counts by word.
type tally[W ~string] struct {
	mu sync.Mutex
	n  map[W]int64
}

func (c *tally[W]) add(word W) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[W]int64{}
	}
	c.n[word]++
}

func (c *tally[W]) get(word W) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[word]
}

// Count returns how often an event happened since the process started.
func (s *Service) Count(e Event) int64 { return s.counts.get(e) }

// Refused returns how often something was refused for a reason, one of
// omemo.Classes, since the process started.
func (s *Service) Refused(class string) int64 { return s.classes.get(class) }
