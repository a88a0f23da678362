package cloudapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// Text is a text message that a business asks to send, or one that becomes a text. It was validated.
type Text struct {
	To     phone.Number
	ToUser bool   // the business named To by user id
	Body   string // 1 to MaxTextLength characters; somewhat more with choices
	// Choices are the answers that Body offers. ChoiceKind is how the webhook of an answer
	// names them: ButtonReply, ListReply or ButtonPress.
	Choices    []rich.Choice
	ChoiceKind string
	// ReplyTo is the id of the message that this one answers; empty for none.
	ReplyTo string
	// Opaque comes back in the message's statuses; at most MaxOpaque bytes.
	Opaque string
	// IdentityHash names the identity key of the recipient's device that the message
	// is for, at most MaxIdentityHash bytes; empty for all devices.
	IdentityHash string
	Marketing    bool  // it is by a template of that category
	Once         *Once // nil: it is sent each time
}

// Reaction is a reaction that a business asks to send. It was validated.
type Reaction struct {
	To        phone.Number
	ToUser    bool   // the business named To by user id
	MessageID string // of the message that it is about; at most MaxMessageID bytes
	Emoji     string // empty removes the reaction
	// Opaque comes back in the reaction's statuses; at most MaxOpaque bytes.
	Opaque string
	Once   *Once // that of Text
}

// Read marks a customer's message, and all before it, as read.
type Read struct {
	MessageID string
	// Typing shows the customer that an answer is being written; it ends with the
	// answer or after 25 seconds.
	Typing bool
	Once   *Once // nil: it is done each time
}

// Service does what requests ask for.
type Service interface {
	// AcceptText stores the message durably and returns its id. When the error is nil, the
	// message will be sent, whatever happens to this process. If its Once was done before, it returns what that
	// was answered with, or ErrOtherBody, as the three that follow do.
	AcceptText(ctx context.Context, t Text) (id string, err error)
	// AcceptAttachment does the same for a message with a file. It also returns
	// ErrUnknownFile, ErrFileKind and media.ErrTooLarge.
	AcceptAttachment(ctx context.Context, a Attachment) (id string, err error)
	// AcceptReaction does the same for a reaction. One that is about no message of the
	// conversation fails later.
	AcceptReaction(ctx context.Context, r Reaction) (id string, err error)
	// MarkRead durably stores a receipt for the customer.
	MarkRead(ctx context.Context, r Read) error
	// StoreFile stores a file durably. Errors of its Body are returned wrapped.
	StoreFile(ctx context.Context, f NewFile) (id string, err error)
	// File describes a file, OpenFile returns a reader of it, DeleteFile removes it. Each may
	// return ErrUnknownFile.
	File(ctx context.Context, id string) (File, error)
	OpenFile(ctx context.Context, id string) (File, io.ReadSeeker, error)
	DeleteFile(ctx context.Context, id string) error
	// Block drops what these customers send from now on, or returns ErrBlockListFull and
	// blocks nobody. Unblock ends that. Blocked lists the blocked ones in a stable order.
	Block(ctx context.Context, users []BlockedUser) error
	Unblock(ctx context.Context, numbers []phone.Number) error
	Blocked(ctx context.Context) ([]BlockedUser, error)
	// Find returns the customer with a user id, or ErrUnknownCustomer.
	Find(ctx context.Context, user string) (phone.Number, error)
	// UserIDs returns the user ids of customers in the same order, empty for who is none.
	UserIDs(ctx context.Context, numbers []phone.Number) ([]string, error)
	Templates
	Profiles
	History
}

// BlockedUser is somebody whom the business blocked.
type BlockedUser struct {
	Number phone.Number
	User   string // the user id by which they were blocked; empty for none
}

// Number is the business's number as the API shows it.
type Number struct {
	ID        string // phone-number-id, decimal
	AccountID string // of the WhatsApp Business Account, decimal
	// AccountName is the name of a business account that has further numbers; empty for an account of one.
	AccountName string
	Phone       phone.Number
	Name        string    // verified_name
	Since       time.Time // when the relay made the number's keys; zero if it is not known
	Webhook     string    // URL; empty for none
	Profile     Profile
}

// OtherNumber is a number of the same business account, which another relay serves.
type OtherNumber struct {
	ID        string // phone-number-id, decimal
	Phone     phone.Number
	Name      string // verified_name
	Quality   string // as Options.Quality has it; empty when it is not known
	Connected bool   // to its carrier
}

// Problem keeps the business from sending, or some of its messages from arriving.
type Problem struct {
	// Blocks says that nothing can be sent; otherwise sending is limited.
	Blocks bool
	// Description and Solution are for people, and contain nothing personal.
	Description, Solution string
}

// Attachment is a message with a file that a business asks to send. It was
// validated: exactly one of ID and Link is set.
type Attachment struct {
	To       phone.Number
	ToUser   bool // the business named To by user id
	Kind     media.Kind
	ID       string
	Link     string // http or https
	Caption  string // at most MaxCaption characters, of contacts and templates MaxTextLength; never of a sticker or audio
	Filename string // of a document; may be empty
	ReplyTo  string
	Opaque   string
	// Choices and ChoiceKind are those of Text: what Caption offers.
	Choices    []rich.Choice
	ChoiceKind string
	// IdentityHash is that of Text.
	IdentityHash string
	Marketing    bool  // that of Text
	Once         *Once // that of Text
}

// NewFile is a file that a business uploads. Body must be read to its end; past Limit it returns
// media.ErrTooLarge.
type NewFile struct {
	MIME  string
	Name  string // may be empty
	Body  io.Reader
	Limit int64
}

// File is a stored file.
type File struct {
	ID     string
	MIME   string
	Name   string
	SHA256 [sha256.Size]byte
	Size   int64
}

// Customers gives access to what is stored about single persons.
type Customers interface {
	// Erase removes everything that is stored about a person, if anything is. It may be called
	// again after a failure.
	Erase(ctx context.Context, n phone.Number) error
	// Export returns what is stored about a person, with at most limit messages: those after
	// the one with the given id. It may return ErrUnknownCustomer.
	Export(ctx context.Context, n phone.Number, after string, limit int) (*Export, error)
	// ContactRequests returns at most limit contact requests that customers have not accepted:
	// those behind the one with the given cursor, or from the first for the cursor 0.
	ContactRequests(ctx context.Context, after int64, limit int) ([]ContactRequest, error)
}

// ContactRequest is a request to a customer to show their keys to the relay.
type ContactRequest struct {
	Number   phone.Number
	UserID   string
	Since    time.Time
	Declined bool
	Waiting  int // messages that wait for the answer
	Cursor   int64
}

// Export is what is stored about one person.
type Export struct {
	UserID      string // empty when only the block list names the person
	Name        string
	LastInbound time.Time // zero when nothing came
	Blocked     bool      // by the business
	OptedOut    time.Time // when they asked the business to stop; zero if they did not
	Devices     []ExportedDevice
	Messages    []ExportedMessage // oldest first
	More        bool              // there are further messages
}

// ExportedDevice is one device that the person writes with.
type ExportedDevice struct {
	ID          uint32 `json:"id"`
	IdentityKey []byte `json:"identity_key,omitempty"`
	Active      bool   `json:"active"`
}

// ExportedMessage is one message to or from the person.
type ExportedMessage struct {
	ID        string          `json:"id"`
	Direction string          `json:"direction"` // "inbound" or "outbound"
	Type      string          `json:"type"`
	Status    string          `json:"status"`
	Detail    string          `json:"status_detail,omitempty"`
	Timestamp string          `json:"timestamp"` // Unix seconds, as everywhere in the API
	Opaque    string          `json:"biz_opaque_callback_data,omitempty"`
	Content   json.RawMessage `json:"content"`
	File      *ExportedFile   `json:"file,omitempty"`
}

// ExportedFile describes a file of a message. Its id leads to its content, as for any file; a
// file that is no longer stored has no id.
type ExportedFile struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"` // "image" and so on
	MIME     string `json:"mime_type"`
	SHA256   string `json:"sha256"`    // hexadecimal
	Size     int64  `json:"file_size"` // bytes
	Filename string `json:"filename,omitempty"`
}

// Limits of a request.
const (
	// MaxBody is the largest request body, in bytes: twice a text of MaxTextLength characters
	// with each of them escaped.
	MaxBody = 128 << 10
	// MaxTextLength is the longest text, in characters.
	MaxTextLength = 4096
	// MaxOpaque is the longest biz_opaque_callback_data, in bytes.
	MaxOpaque = 512
	// MaxMessageID is the longest message id, in bytes.
	MaxMessageID = 128
	// MaxIdentityHash is the longest recipient_identity_key_hash, in bytes.
	MaxIdentityHash = 128
)

// Limits of messages with files.
const (
	// MaxCaption is the longest caption, in characters.
	MaxCaption = 1024
	// maxFileLink is the longest link, in bytes.
	maxFileLink = 2048
)

// ErrBlockListFull means that no more users can be blocked.
var ErrBlockListFull = errors.New("the block list is full")

// ErrUnknownCustomer means that nothing is stored about a person.
var ErrUnknownCustomer = errors.New("no such customer")
