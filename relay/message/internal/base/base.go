// Package base is what every part of a message's life uses: the options, the counters, and
// the few writes to the store that several parts make. It must not know what the parts do.
package base

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// How jobs are tried.
const (
	// FirstRetry is how long after its first failure a job is tried again.
	FirstRetry = time.Second
	// AttemptTime bounds one attempt.
	AttemptTime = time.Minute
)

// Texts for the business that several parts use.
const (
	QuotaFileDetails = "The file does not fit: what the relay keeps of this customer fills their share of its volume, an eighth. " +
		"Erase the customer, or wait until the retention frees room."
)

// Store is what the life of a message needs of the store.
type Store interface {
	// Update runs fn, one call at a time, and returns when what fn wrote is durable. When it
	// returns an error, do not rely on anything that fn wrote.
	Update(ctx context.Context, fn func(*store.Tx) error) error
	// UpdateLate is Update for what nobody waits for: it waits a moment for others, to share a commit with them.
	UpdateLate(ctx context.Context, fn func(*store.Tx) error) error
	// Begin is Update in two steps: the wait for durability is the second.
	Begin(ctx context.Context, fn func(*store.Tx) error) (wait func() error)
	// Shrink is Update for what frees room, and works on a full volume, too. It may run fn
	// twice.
	Shrink(ctx context.Context, fn func(*store.Tx) error) error
	// View runs fn on a consistent snapshot.
	View(ctx context.Context, fn func(*store.Tx) error) error
	// Lately returns a message as it was committed last, if that was a moment ago.
	Lately(id string) (store.Message, bool)
	// StateLately returns that message's state, which costs much less.
	StateLately(id string) (state string, ok bool)
	// CustomerLately returns a customer as they were committed last, if that was a moment ago.
	CustomerLately(id store.CustomerID) (store.Customer, bool)
	// Listen has l told what changes in a queue until end is called.
	Listen(queue string, l store.Listener) (end func())
}

// Carrier is what the life of a message needs of the carrier; a carrier.Carrier is one.
type Carrier interface {
	PublishDevices(ctx context.Context, f carrier.Format, devices []carrier.DeviceID) error
	PublishBundle(ctx context.Context, device carrier.DeviceID, b carrier.Bundle) error
	Devices(ctx context.Context, peer phone.Number, f carrier.Format) ([]carrier.DeviceID, error)
	Bundle(ctx context.Context, peer phone.Number, device carrier.DeviceID, f carrier.Format) (carrier.Bundle, error)
	Contact(ctx context.Context, peer phone.Number, ask bool) (carrier.ContactState, error)
	Send(ctx context.Context, o carrier.Outgoing) error
	SendReceipts(ctx context.Context, receipts ...carrier.OutgoingReceipt) error
	SendReaction(ctx context.Context, r carrier.OutgoingReaction) error
	Nickname(ctx context.Context, peer phone.Number) (string, error)
	SendTyping(ctx context.Context, to phone.Number, composing bool) error
	Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error
}

// Options say whose messages they are. All but Conduct, Files, Now and Log are required.
type Options struct {
	Store   Store
	Carrier Carrier
	Account *omemo.Account
	Webhook webhook.Account
	// Conduct judges whom the business may write to; nil: everybody.
	Conduct *conduct.Book
	// Processors are the names of those that get a copy of each webhook.
	Processors []string
	// Files are the dependencies for moving files; nil: no file is sent or fetched.
	Files *Files
	// Former is the identity before Account's, while messages encrypted to it may still
	// arrive; nil for none.
	Former *FormerIdentity
	// Forget removes a person from the carrier's contact list; nil when it has none.
	Forget func(ctx context.Context, peer phone.Number) error
	// Scrub overwrites what was deleted in the store's files; nil for a store that does that
	// by itself.
	Scrub func(ctx context.Context) error
	// Retention is how old a message may be.
	Retention time.Duration
	// AcceptUnencrypted passes unencrypted messages on, marked as such.
	AcceptUnencrypted bool
	// ClearMetadata lets the business's reactions go in clear, as legacy OMEMO has them;
	// otherwise they go as encrypted texts.
	ClearMetadata bool
	// NoStorage means that the store keeps content in memory only: then a customer's client gets its delivery
	// receipt when the business took the message, and not when it was stored.
	NoStorage bool
	// NoNotices means that customers get no notice of how to switch encryption on.
	NoNotices bool
	// OptOut lets customers stop the business by a word; nil: there is no such word.
	OptOut *OptOut
	// Notice is the text of that notice; empty means the relay's own text.
	Notice string
	Now    func() time.Time
	Log    *slog.Logger
}

// OptOut are the words by which customers stop the business, and allow it again. A word counts if it is the whole message,
// without regard to case and spaces around it.
type OptOut struct {
	Words, Back []string
	// Confirmation and BackConfirmation are what the customer is answered, once each; empty for the relay's own text.
	Confirmation, BackConfirmation string
	// MarketingOnly stops templates of the category MARKETING; otherwise everything stops that does not answer the customer.
	MarketingOnly bool
}

// Base is what the parts share.
type Base struct {
	Options
	// Receipt receives a receipt that was encrypted. It is set before anything runs.
	Receipt func(ctx context.Context, r carrier.Receipt) error

	canary canary

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
	QueueOutbox   = "outbox"
	QueueReceipts = "receipts" // delivery receipts for customers' messages
	QueueWebhook  = "webhook"
	QueueDead     = "dead-letters" // webhooks that were given up; nobody works them off
)

// processorQueues is how the names of the processors' queues begin: a copy belongs to the receiver that its queue names.
const processorQueues = "processor/"

// QueueOfProcessor is the queue of a processor's copies.
func QueueOfProcessor(name string) string { return processorQueues + name }

// TellsBusiness says whether a queue's jobs are webhooks, or copies of them.
func TellsBusiness(queue string) bool {
	return queue == QueueWebhook || queue == QueueDead || queue == QueueKept || strings.HasPrefix(queue, processorQueues)
}

// DamagedDetails tells the business that a message was received and can no longer be read.
const DamagedDetails = "What the relay kept of the message was damaged: ask the customer to send it once more."

// QueueMedia is the queue of customers' files that are still at the carrier.
const QueueMedia = "media"
