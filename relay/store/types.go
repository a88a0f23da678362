package store

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Errors that a caller decides on. A sealed value that cannot be opened leads to
// seal.ErrErased or seal.ErrTampered.
var (
	// ErrForeignStore means that the directory holds another identity's store.
	ErrForeignStore = engine.ErrForeign
	// ErrMoved means that the store was moved to a server, and must not be used in its directory again.
	ErrMoved = engine.ErrMoved
	// ErrStoreMissing means that a store that existed is gone.
	ErrStoreMissing = engine.ErrMissing
	// ErrLocked means that another process has the store open.
	ErrLocked = engine.ErrLocked
	// ErrNewer means that a newer build wrote the store.
	ErrNewer = engine.ErrNewer
	// ErrClosed means that the store was closed.
	ErrClosed = engine.ErrClosed
	// ErrNotFound means that there is no such row, or that its epoch is erased.
	ErrNotFound = errors.New("store: not found")
	// ErrReadOnly means that a View tried to write.
	ErrReadOnly = engine.ErrReadOnly
	// ErrDamaged means that the database file is broken, or not a database.
	ErrDamaged = engine.ErrDamaged
	// ErrFull means that there is no room left on the volume.
	ErrFull = engine.ErrFull
	// ErrQuota means that one customer's quota is used up.
	ErrQuota = errors.New("store: the customer's share of the volume is used up")
	// ErrInvalid means that a value to write is incomplete or too large.
	ErrInvalid = errors.New("store: invalid value")
)

// Limits of what one row may hold.
const (
	MaxBody       = 1 << 20 // bytes of a message's or a job's body, or of a record
	MaxIdentifier = 256     // bytes of a message ID, carrier ID, queue or setting name
)

// CustomerID names a customer within one store. It is random, and means nothing outside. The
// zero CustomerID is no customer.
type CustomerID int64

// Life is how long content can be read at most where it is kept in memory only (Memory). A copy gets the Life of what
// it was copied from, so that it ends with that. The zero Life begins when a row is written; where content is stored,
// there is no other. Its number names a key, and says nothing to others.
type Life int64

// Customer is someone who wrote to the business, or was written to.
type Customer struct {
	ID          CustomerID // zero in PutCustomer makes a new customer
	Number      phone.Number
	UserID      string    // as the business knows them without the number; empty only in a View, until an Update opens the row
	Name        string    // as the customer's client told it; may be empty
	LastInbound time.Time // millisecond precision; zero when nothing came yet
	// Noticed is when the relay itself wrote to them last; zero when it never did.
	Noticed time.Time
	// Refused is when the business was last told that a message of theirs was refused
	// because of ErrQuota; zero when it never was.
	Refused time.Time
	// Asked is when the customer was asked to become a contact; zero when they were not, or
	// when it is no longer needed. Declined is when they declined.
	Asked, Declined time.Time
	// Offer is the id of the last message to them that offers choices; empty for none. That
	// message may be gone.
	Offer string
}

// Device is one device of a customer.
type Device struct {
	ID          carrier.DeviceID
	IdentityKey []byte // public; nil while unknown
	Active      bool   // on the customer's legacy device list now, or wrote in that format
	OMEMO2      bool   // the same in the format OMEMO2
	Accepted    bool   // the business accepted this identity key
	// Offered is an identity key that the device offered and that was refused: it is not used
	// for anything until the business accepts it. Nil when there is none.
	Offered []byte
	// Wrote is roughly when the device last sent a message that could be read; zero when it
	// never did. Renewed is when both sides first used the present session; zero when that is
	// not known.
	Wrote, Renewed time.Time
	// Damaged says that the row cannot be read; nothing else is set then.
	Damaged bool
}

// Reachable says whether the device is on one of the customer's lists, or wrote.
func (d Device) Reachable() bool { return d.Active || d.OMEMO2 }

// Direction says whether a message came in or goes out.
type Direction uint8

// The directions of a message.
const (
	Inbound  Direction = 1
	Outbound Direction = 2
)

// Message is one message of a conversation.
type Message struct {
	ID        string // "wamid." and random text, see NewMessageID
	Direction Direction
	Customer  CustomerID
	Type      string // "text" and so on
	Body      []byte // content, JSON
	CarrierID string // the stanza's id; may be empty
	State     string // "received", "sent" and so on; readable without a key
	Opaque    string // biz_opaque_callback_data
	Created   time.Time
	Updated   time.Time // when it came into its State
	// Sent and Delivered are when it came into states before that one; zero when it never did, or
	// when an earlier relay wrote it.
	Sent, Delivered time.Time
	// Life is that of Body and Opaque. A row keeps the one that ends first, however often it is written.
	Life Life
	// Borrowed is that of the part of Body which was copied from another message: what Memory.Own leaves out. Once it
	// is over, Body is without that part. Zero means that no part was.
	Borrowed Life
	// Lost says that what was written is gone, with Opaque: Body has only what else is known. It is set only by
	// reading, and stays as it is when the message is written again.
	Lost bool
}

// Key is a pre-key's private half, as bytes.
type Key struct {
	ID      uint32
	Data    []byte
	Created time.Time
}

// Job is work that is left to do: a message to send, a webhook to deliver.
type Job struct {
	ID        int64 // given by Enqueue; grows
	Queue     string
	Customer  CustomerID // zero when it concerns none
	Message   string     // the message's ID; may be empty
	NotBefore time.Time
	Attempts  int
	Created   time.Time
	Body      []byte
	Life      Life // of Body
	Damaged   bool // its row cannot be opened: there is no Body
	Lost      bool // its content is gone: Body has only what else is known
}

// Swept says what Sweep removed.
type Swept struct {
	Epochs   int
	Messages int
	Jobs     int
	Others   int
}

// CountPeriod is the time for which there is one Count.
const CountPeriod = 30 * time.Minute

// Count says how many of the business's messages were sent and delivered within a CountPeriod. It
// names nobody: it is readable without a key, as the times and states of messages are, and stays when
// a customer is erased. It is kept as long as messages are.
type Count struct {
	Start           time.Time
	Sent, Delivered int64
}
