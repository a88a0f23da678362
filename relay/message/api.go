package message

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/delivery"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/history"
	"github.com/relaykeep/relaykeep/relay/message/internal/outbound"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/person"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// What a Service is made of.
type (
	// Options say whose messages they are. All but Conduct, Files, Now and Log are required.
	Options = base.Options
	// Store is what the life of a message needs of the store.
	Store = base.Store
	// Carrier is what the life of a message needs of the carrier; a carrier.Carrier is one.
	Carrier = base.Carrier
	// FormerIdentity is an identity that was rotated away.
	FormerIdentity = base.FormerIdentity
	// Files are the dependencies for moving files.
	Files = base.Files
	// Web downloads and uploads files.
	Web = base.Web
	// OptOut are the words by which customers stop the business.
	OptOut = base.OptOut
)

// What is counted, in words that are fit for a metric's label.
type (
	// Event is something that happened to a message.
	Event = base.Event
	// OverQuota is something that was refused because its customer's quota is used up.
	OverQuota = base.OverQuota
)

// The events; package base says what each means.
const (
	EventReceived      = base.EventReceived
	EventReplayed      = base.EventReplayed
	EventTooOld        = base.EventTooOld
	EventUndecryptable = base.EventUndecryptable
	EventNotForUs      = base.EventNotForUs
	EventUntrusted     = base.EventUntrusted
	EventNewDevice     = base.EventNewDevice
	EventResent        = base.EventResent
	EventPlaintext     = base.EventPlaintext
	EventAccepted      = base.EventAccepted
	EventSent          = base.EventSent
	EventDelivered     = base.EventDelivered
	EventRead          = base.EventRead
	EventFailed        = base.EventFailed
	EventBounced       = base.EventBounced
	EventIdentity      = base.EventIdentity
	EventForeignDevice = base.EventForeignDevice
	EventRepaired      = base.EventRepaired
	EventTyping        = base.EventTyping
	EventBlocked       = base.EventBlocked
	EventReaction      = base.EventReaction
	EventRevoked       = base.EventRevoked
	EventUnmatched     = base.EventUnmatched

	OverQuotaInbound  = base.OverQuotaInbound
	OverQuotaOutbound = base.OverQuotaOutbound
)

// Events lists all events.
func Events() []Event { return base.Events() }

// OverQuotas lists all that is refused because of the quota.
func OverQuotas() []OverQuota { return base.OverQuotas() }

// Names of the queues in the store.
const (
	QueueOutbox   = base.QueueOutbox
	QueueReceipts = base.QueueReceipts // delivery receipts for customers' messages
	QueueWebhook  = base.QueueWebhook
	QueueDead     = base.QueueDead  // webhooks that were given up
	QueueMedia    = base.QueueMedia // customers' files that are still at the carrier
)

// Backend is one of the store's queues.
type Backend = base.Backend

// DeadLetter is a webhook that was given up.
type DeadLetter = delivery.DeadLetter

// Queue returns the store's queue of that name.
func Queue(s Store, name string) *Backend { return base.Queue(s, name) }

// What the business sends.
type (
	// Text is a text message that the business asks to send.
	Text = outbound.Text
	// Attachment is a file that the business asks to send.
	Attachment = outbound.Attachment
	// Reaction is the business's reaction to a message.
	Reaction = outbound.Reaction
	// Read marks a customer's message as read.
	Read = outbound.Read
	// Once identifies a request with an idempotency key.
	Once = store.Once
	// RepeatedError means that a request was done before, and with which answer.
	RepeatedError = base.RepeatedError
	// Upload is a file that the business uploads.
	Upload = files.Upload
)

// What is stored about a person.
type (
	// Person is what is stored about one person, to answer a request for access.
	Person = person.Person
	// PersonsDevice is one device that the person writes with.
	PersonsDevice = person.PersonsDevice
	// PersonsMessage is one message to or from the person.
	PersonsMessage = person.PersonsMessage
	// BlockedUser is somebody whom the business blocked.
	BlockedUser = blocklist.Entry
	// ContactRequest is a request to a customer that was not accepted yet.
	ContactRequest = person.ContactRequest
	// PersonsFile is a file that came from the person or went to them.
	PersonsFile = person.PersonsFile
)

// What became of the business's messages.
type (
	// Sent is what became of one message.
	Sent = history.Sent
	// SentEvent is a state that it came into.
	SentEvent = history.Event
	// SentQuery says which messages to return, and SentPage is the answer.
	SentQuery = history.Query
	// SentPage is one page of messages.
	SentPage = history.Page
)

// What may have become of an event's webhook.
const (
	WebhookUnknown   = history.Unknown
	WebhookPending   = history.Pending
	WebhookRetrying  = history.Retrying
	WebhookDelivered = history.Delivered
	WebhookFailed    = history.Failed
)

// MaxBlocked is how many customers a business may block ("Block users").
const MaxBlocked = blocklist.MaxBlocked

// Errors that a caller decides on.
var (
	// ErrUnknownMessage means that no message of a customer has that id.
	ErrUnknownMessage = outbound.ErrUnknownMessage
	// ErrOptedOut means that the recipient asked the business to stop.
	ErrOptedOut = outbound.ErrOptedOut
	// ErrUnknownMedia means that there is no such file, or no longer.
	ErrUnknownMedia = files.ErrUnknownMedia
	// ErrMediaKind means that a file cannot be sent as a message of that kind.
	ErrMediaKind = files.ErrMediaKind
	// ErrMediaTooLarge means that a file is larger than its kind may be.
	ErrMediaTooLarge = files.ErrMediaTooLarge
	// ErrNoRoom means that the volume has no room for files.
	ErrNoRoom = files.ErrNoRoom
	// ErrBlockListFull means that the business has blocked as many as it may.
	ErrBlockListFull = blocklist.ErrBlockListFull
	// ErrUnknownCustomer means that nothing is stored about that person, or that no message of
	// theirs has the given id.
	ErrUnknownCustomer = person.ErrUnknownCustomer
	// ErrCanaryNumber means that a number is not one that only a canary can have.
	ErrCanaryNumber = base.ErrCanaryNumber
	// ErrCanaryKnown means that the relay stores something about that number.
	ErrCanaryKnown = base.ErrCanaryKnown
	// ErrCanaryRunning means that another canary is announced.
	ErrCanaryRunning = base.ErrCanaryRunning
	// ErrNoCanary means that none is announced.
	ErrNoCanary = base.ErrNoCanary
	// ErrUnknownLetter means that there is no such dead letter.
	ErrUnknownLetter = delivery.ErrUnknownLetter
	// ErrUnknownSent means that the business sent no such message, or that it is no longer stored.
	ErrUnknownSent = history.ErrUnknown
)

// AcceptText stores a message and returns its id. When the error is nil, the message is
// durable and will be sent. Store.ErrQuota means that the recipient's quota is used up. A text whose Once was
// done before is a *RepeatedError, or store.ErrOtherBody, and nothing is stored.
func (s *Service) AcceptText(ctx context.Context, t Text) (string, error) {
	return s.outbound.AcceptText(ctx, t)
}

// AcceptAttachment stores a message with a file and returns its id, as AcceptText does. It
// returns ErrUnknownMedia or ErrMediaKind for a file that cannot be sent. Trouble with a link
// only shows when it is fetched.
func (s *Service) AcceptAttachment(ctx context.Context, a Attachment) (string, error) {
	return s.outbound.AcceptAttachment(ctx, a)
}

// AcceptReaction stores a reaction and returns its id, as AcceptText does. A reaction to a
// message that is not stored, or not of this conversation, fails.
func (s *Service) AcceptReaction(ctx context.Context, r Reaction) (string, error) {
	return s.outbound.AcceptReaction(ctx, r)
}

// OpenConduct returns the book about the business's conduct, as it was kept in the store or begun for one that is there
// already. Its error says that what was kept cannot be read; there is a book all the same unless the store failed.
func OpenConduct(ctx context.Context, s Store, now time.Time) (book *conduct.Book, err error) {
	var kept []byte
	var customers int64
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		if kept, err = outbound.KeptConduct(tx); err != nil {
			return err
		}
		customers, err = tx.Customers()
		return err
	})
	if errors.Is(err, seal.ErrTampered) {
		kept, err = []byte{}, nil // which is no state
	}
	if err != nil {
		return nil, err
	}
	return conduct.Open(kept, customers, now)
}

// KeepConduct keeps what changed of the business's conduct; last says that no message is accepted any more.
func (s *Service) KeepConduct(ctx context.Context, last bool) error {
	return s.outbound.KeepConduct(ctx, last)
}

// MarkRead queues a read marker for a message and all before it. It may return ErrUnknownMessage, and those of Once.
func (s *Service) MarkRead(ctx context.Context, r Read) error { return s.outbound.MarkRead(ctx, r) }

// Answered returns the answer to a request that was done before. It returns store.ErrNotFound if it was not, and
// store.ErrOtherBody if one with its key was.
func (s *Service) Answered(ctx context.Context, o Once) (answer string, err error) {
	err = s.base.Store.View(ctx, func(tx *store.Tx) error {
		answer, err = tx.Answered(o, s.base.Now())
		return err
	})
	return answer, err
}

// Answer remembers the answer to a request that was done in another way than by its Once. It returns a
// *RepeatedError or store.ErrOtherBody if one was done meanwhile.
func (s *Service) Answer(ctx context.Context, o Once, answer string) error {
	return s.base.Store.Update(ctx, s.base.Once(&o, answer, func(*store.Tx) error { return nil }))
}

// StoreMedia stores a file and returns its id. It may return ErrMediaTooLarge or ErrNoRoom.
func (s *Service) StoreMedia(ctx context.Context, u Upload) (string, error) {
	return s.files.StoreMedia(ctx, u)
}

// Media says what is known about a file, or returns ErrUnknownMedia.
func (s *Service) Media(ctx context.Context, id string) (store.Media, error) {
	return s.files.Media(ctx, id)
}

// OpenMedia is Media with the file's content, which is decrypted as it is read. Ctx bounds
// the reading.
func (s *Service) OpenMedia(ctx context.Context, id string) (store.Media, io.ReadSeeker, error) {
	return s.files.OpenMedia(ctx, id)
}

// DeleteMedia removes a file, or returns ErrUnknownMedia. Messages with that file that wait to
// be sent will fail.
func (s *Service) DeleteMedia(ctx context.Context, id string) error {
	return s.files.DeleteMedia(ctx, id)
}

// Block makes the relay drop what customers send from now on, and refuse to write to them.
// Blocking somebody twice is harmless. When it returns ErrBlockListFull, it has blocked
// nobody.
func (s *Service) Block(ctx context.Context, entries []BlockedUser) error {
	return s.blocklist.Block(ctx, entries)
}

// Unblock ends Block. Unblocking somebody who is not blocked is harmless.
func (s *Service) Unblock(ctx context.Context, numbers []phone.Number) error {
	return s.blocklist.Unblock(ctx, numbers)
}

// Blocked returns who is blocked, sorted.
func (s *Service) Blocked(ctx context.Context) ([]BlockedUser, error) {
	return s.blocklist.Blocked(ctx)
}

// Find returns how the carrier knows the customer with that user id, or ErrUnknownCustomer.
func (s *Service) Find(ctx context.Context, user string) (phone.Number, error) {
	return s.people.Find(ctx, user)
}

// UserIDs returns the user ids of customers in the same order; those of who is no customer are empty.
func (s *Service) UserIDs(ctx context.Context, numbers []phone.Number) ([]string, error) {
	return s.people.UserIDs(ctx, numbers)
}

// Person returns what is stored about one person, with at most limit messages: those after the
// one with the given id, or from the first when the id is empty. It may return
// ErrUnknownCustomer.
func (s *Service) Person(ctx context.Context, n phone.Number, after string, limit int) (Person, error) {
	return s.people.Person(ctx, n, after, limit)
}

// ContactRequests returns at most limit contact requests that were not accepted: those behind
// a cursor, or from the first if it is zero.
func (s *Service) ContactRequests(ctx context.Context, after store.CustomerID, limit int) ([]ContactRequest, error) {
	return s.people.ContactRequests(ctx, after, limit)
}

// SentMessages returns what became of the business's messages, youngest first. A page may have fewer than
// it may, or none, although there are more.
func (s *Service) SentMessages(ctx context.Context, q SentQuery) (SentPage, error) {
	return s.history.Page(ctx, q)
}

// SentAt returns what became of the message at a place, or ErrUnknownSent.
func (s *Service) SentAt(ctx context.Context, place int64) (Sent, error) {
	return s.history.At(ctx, place)
}

// SentByID returns what became of the message with an id, or ErrUnknownSent.
func (s *Service) SentByID(ctx context.Context, id string) (Sent, error) {
	return s.history.ByID(ctx, id)
}

// SentCounts returns how many messages were sent and delivered in the half hours between two times. The
// counts are kept as long as messages are.
func (s *Service) SentCounts(ctx context.Context, from, to time.Time) ([]store.Count, error) {
	return s.history.Counts(ctx, from, to)
}

// Erase removes everything that is stored about one person. It may be called again, and then
// does what was left. A person about whom nothing is stored is no error.
func (s *Service) Erase(ctx context.Context, n phone.Number) error { return s.people.Erase(ctx, n) }

// Canary is a customer who is nobody, and whose webhooks are kept back.
type Canary = base.Canary

// Announce announces a canary: until it ends, webhooks about that customer go to nobody. The number must be one that only
// a canary can have, and unknown to the relay. The errors are ErrCanaryNumber, ErrCanaryKnown, ErrCanaryRunning and the store's.
func (s *Service) Announce(ctx context.Context, n phone.Number) (Canary, error) {
	return s.base.Announce(ctx, n)
}

// LoadCanary reads which canary was announced before the relay was stopped. Call it before anything runs.
func (s *Service) LoadCanary(ctx context.Context) error { return s.base.LoadCanary(ctx) }

// Announced returns the canary, and how many webhooks about it are kept back. It may return ErrNoCanary.
func (s *Service) Announced(ctx context.Context) (Canary, int64, error) { return s.base.Announced(ctx) }

// EndCanary erases the canary, as Erase does, and ends the announcement. It may return ErrNoCanary and what Erase returns:
// then the canary is still announced.
func (s *Service) EndCanary(ctx context.Context) error { return s.base.EndCanary(ctx, s.Erase) }

// QueueOfProcessor is the queue of a processor's copies of webhooks.
func QueueOfProcessor(name string) string { return base.QueueOfProcessor(name) }

// Deliver returns a worker for the queue of webhooks. It passes the payloads of the webhooks
// that can be delivered to deliver.
func (s *Service) Deliver(deliver queue.BatchWorker) queue.BatchWorker {
	return s.delivery.Deliver(deliver)
}

// DeliverCopies is Deliver for the queue of a processor's copies.
func (s *Service) DeliverCopies(deliver queue.BatchWorker) queue.BatchWorker {
	return s.delivery.DeliverCopies(deliver)
}

// FinishCopies removes a processor's copies, all or none.
func (s *Service) FinishCopies(ctx context.Context, ids ...int64) error {
	return s.delivery.FinishCopies(ctx, ids...)
}

// DropCopies removes a processor's copies that were queued before a time, and says how many there were.
func (s *Service) DropCopies(ctx context.Context, processor string, before time.Time) (int, error) {
	return s.delivery.DropCopies(ctx, processor, before)
}

// DropFormer removes the copies of processors that are no longer configured.
func (s *Service) DropFormer(ctx context.Context) error { return s.delivery.DropFormer(ctx) }

// Taken removes the jobs of webhooks that the business took, all or none. Without storage, it queues the receipts
// that follow.
func (s *Service) Taken(ctx context.Context, jobs ...queue.Job) error {
	return s.delivery.Taken(ctx, jobs...)
}

// TellLost tells the business of the messages that wait and whose content is gone. Call it when the relay starts, and
// every minute or so, if content is kept in memory only.
func (s *Service) TellLost(ctx context.Context) error {
	return errors.Join(s.outbound.FailLost(ctx), s.inbound.TellForgotten(ctx))
}

// ContentInMemory makes the store keep content in memory only, and each for at most life.
func ContentInMemory(life time.Duration) store.Option {
	return store.ContentInMemory(store.Memory{Life: life, Message: record.Bare, Own: record.Own, Job: func(name string, body []byte) ([]byte, error) {
		return record.BareJob(base.TellsBusiness(name), body)
	}})
}

// Bury makes a webhook a dead letter, after so many failed attempts, for a reason in the relay's own words. One
// that is gone is no error.
func (s *Service) Bury(ctx context.Context, job int64, attempts int, failure string) error {
	return s.delivery.Bury(ctx, job, attempts, failure)
}

// BuryOverdue makes dead letters of the webhooks that were due before a time and are still there, and says how
// many there were.
func (s *Service) BuryOverdue(ctx context.Context, before time.Time, failure string) (int, error) {
	return s.delivery.BuryOverdue(ctx, before, failure)
}

// DeadLetters returns at most limit dead letters, those that died first behind a place on, and the place that
// was read to.
func (s *Service) DeadLetters(ctx context.Context, after store.Place, limit int) ([]DeadLetter, store.Place, error) {
	return s.delivery.DeadLetters(ctx, after, limit)
}

// Replay queues dead letters once more, or returns ErrUnknownLetter and queues none. The queue has to be hurried
// then.
func (s *Service) Replay(ctx context.Context, ids []int64) error { return s.delivery.Replay(ctx, ids) }

// ReplayAll queues all dead letters once more and says how many there were.
func (s *Service) ReplayAll(ctx context.Context) (int, error) { return s.delivery.ReplayAll(ctx) }

// RenewSignedPreKey makes the signed pre-key that a new identity publishes.
func RenewSignedPreKey(tx *store.Tx, l signal.Local, now time.Time) error {
	return peers.RenewSignedPreKey(tx, l, now)
}

// Position returns how far the carrier's archive of our account was read, as SetPosition last
// stored it; empty when it never did.
func (s *Service) Position(ctx context.Context) (string, error) { return s.inbound.Position(ctx) }

// SetPosition stores how far the archive was read: everything up to there is stored.
func (s *Service) SetPosition(ctx context.Context, id string) error {
	return s.inbound.SetPosition(ctx, id)
}
