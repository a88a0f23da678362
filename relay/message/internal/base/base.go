// Package base is what every part of a message's life works with: the options, the
// counters, and the few writes to the store that several parts make. It must not know
// what any of the parts does.
package base

import (
	"context"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// How jobs are tried.
const (
	// FirstRetry is how soon after its first failure a job is tried again.
	FirstRetry = time.Second
	// AttemptTime bounds one attempt.
	AttemptTime = time.Minute
)

// Words for the business that several parts use.
const (
	QuotaFileDetails = "The file does not fit: what the relay keeps of this customer fills their share of its volume, an eighth. " +
		"Erase the customer, or wait until the retention frees room."
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

// Carrier is what it needs of the carrier; a carrier.Carrier is one.
type Carrier interface {
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
	Carrier Carrier
	Account *omemo.Account
	Webhook webhook.Account
	// Files say how files travel; nil: no file is sent or fetched.
	Files *Files
	// Deliveries is called when a webhook was queued.
	Deliveries func()
	// Former is the identity before Account's, while messages to it may still be
	// under way; nil for none.
	Former *FormerIdentity
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

// Base is what the parts share.
type Base struct {
	Options
	// WakeOutbox says that there is a new job for the outbox. It is set before anything runs.
	WakeOutbox func()

	Counts  Counters         // of events
	Classes Tally[string]    // what the session layer refused, by omemo.Class
	Quotas  Tally[OverQuota] // what was refused because of the quota
}

// FormerIdentity is an identity that was rotated away. What customers encrypted to it before
// they learned of the next one is read until then; nothing is encrypted with it.
type FormerIdentity struct {
	Account *omemo.Account
	Until   time.Time
}

// Names of the queues in the store.
const (
	QueueOutbox  = "outbox"
	QueueWebhook = "webhook"
)

// DamagedDetails says to the business that a message was received and cannot be read any
// more.
const DamagedDetails = "What the relay kept of the message was damaged: ask the customer to send it once more."

// QueueMedia is the queue of customers' files that are still at the carrier.
const QueueMedia = "media"
