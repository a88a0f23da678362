package record

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// IsNotFound says whether what was looked for is not in the store, or no longer.
func IsNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

// ErrNoNews rolls back an update that learned nothing. Reading a customer re-seals the row in
// the current epoch, and a replay must not extend an idle customer's life.
var ErrNoNews = errors.New("nothing that is new")

// Limited drops an id that is too long to be stored. The peer chose it, and only its own
// receipts suffer.
func Limited(id string) string {
	if len(id) > store.MaxIdentifier {
		return ""
	}
	return id
}

// ErrFinished means that a job has nothing left to do; it is then removed.
var ErrFinished = errors.New("nothing is left to do")

// Gone turns the error for a row that is gone into ErrFinished.
func Gone(err error) error {
	if IsNotFound(err) {
		return ErrFinished
	}
	return err
}

// PutBody changes what a message holds, with the Life of what is copied into it.
func PutBody(tx *store.Tx, m store.Message, change func(*Content)) error {
	body, err := ContentOf(m)
	if err != nil {
		return err
	}
	change(&body)
	m.Life, m.Borrowed = body.Life, body.Borrowed
	if m.Body, err = body.Encode(); err != nil {
		return err
	}
	return tx.ReplaceMessage(m)
}

// Attached is the part of a stored message that is about its file.
type Attached struct {
	Kind media.Kind `json:"kind,omitempty"`
	ID   string     `json:"id,omitempty"`   // in the store, once it is there
	From string     `json:"from,omitempty"` // the business's link or the customer's file URL
	// Described is what was said of the customer's file; nil for nothing.
	Described *Described `json:"described,omitempty"`
	// URLHash is the hash of the customer's file URL.
	URLHash string `json:"link,omitempty"`
	// Uploaded says that the carrier has the file and the message's text is its file URL.
	Uploaded bool `json:"uploaded,omitempty"`
}

// Described is what a message says of a file. It counts only for content with this hash.
type Described struct {
	Name    string `json:"name,omitempty"`
	MIME    string `json:"mime,omitempty"`
	Size    int64  `json:"size,omitempty"` // -1 when not known
	SHA256  []byte `json:"sha256,omitempty"`
	Sticker bool   `json:"sticker,omitempty"`
	// Clear says that it was not encrypted.
	Clear bool `json:"clear,omitempty"`
}

// TypeCaption is the type of a message that goes with a file: OMEMO clients show a file only
// when the message holds nothing but its file URL. The business knows only the file's message.
const TypeCaption = "caption"

// KindMedia asks to send a file: to fetch it if the business gave a link, upload it encrypted,
// and send its file URL as a text.
const KindMedia Kind = "media"

// TypeNotice is the type of a message that the relay itself writes to a customer. The business
// gets no statuses for it.
const TypeNotice = "notice"

// Told is what a webhook says about a customer's message beyond what the message itself holds.
// What the customer wrote is stored once, in the message, and the payload is made when it is
// delivered.
type Told struct {
	From        string          `json:"from,omitempty"` // digits; empty for who has none
	User        string          `json:"user,omitempty"` // the customer's user id; earlier relays wrote none
	Name        string          `json:"name,omitempty"`
	Time        time.Time       `json:"time,omitzero"`
	Identity    string          `json:"identity,omitempty"` // hash of the sender's identity key
	Unencrypted bool            `json:"unencrypted,omitempty"`
	Media       *webhook.Media  `json:"media,omitempty"`
	Errors      []webhook.Error `json:"errors,omitempty"`
}

// ToldVersion begins the job of a webhook about a customer's message. After it comes a Told as
// JSON. The job of any other webhook is its payload, which begins with a brace; so are the
// jobs of earlier relays.
const ToldVersion = 1

// ErrTold means that a webhook's job is not what this relay writes.
var ErrTold = errors.New("decoding a webhook: it is not what this relay writes")
