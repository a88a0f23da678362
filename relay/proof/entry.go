package proof

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Version is that of entries.
const Version = 1

// MaxBody is the longest body of an entry, in bytes.
const MaxBody = 32 << 10

// saltSize is how many random bytes each entry has, so that its hash says nothing once the entry is gone.
const saltSize = 16

// Kind is what an entry or a sum is about, in lower-case letters and hyphens.
type Kind string

// Kinds of sums: requests to the endpoint by what they do, and deliveries.
const (
	Send         Kind = "send"          // messages, reactions, read marks
	MediaWrite   Kind = "media-write"   // files uploaded or deleted
	MediaRead    Kind = "media-read"    // files described or downloaded
	HistoryRead  Kind = "history-read"  // messages' history and dead letters listed
	Replay       Kind = "replay"        // dead letters delivered again
	BlockRead    Kind = "block-read"    // the block list read
	BlockWrite   Kind = "block-write"   // customers blocked or unblocked
	CustomerRead Kind = "customer-read" // contact requests listed
	Export       Kind = "export"        // a person exported: by the hour
	Erase        Kind = "erase"         // a person erased: by the hour
	TokenRead    Kind = "token-read"    // named tokens listed
	TokenWrite   Kind = "token-write"   // named tokens made or revoked
	LogRead      Kind = "log-read"      // this log read
	Canary       Kind = "canary"        // an audit's canary announced or ended
	Refused      Kind = "refused"       // requests without a valid token
	Webhook      Kind = "webhook"       // attempts to deliver a webhook
	Copy         Kind = "copy"          // attempts to deliver a copy of one to a processor
)

// Kinds of entries of their own.
const (
	Key      Kind = "key"      // the key that signs checkpoints from here on
	Identity Kind = "identity" // the relay's device and fingerprint, as published
	Rotation Kind = "rotation" // what rotation counters came into force
	Receipt  Kind = "receipt"  // an erasure receipt of janitor, keeper or erasure, as it is in Vault
	Restored Kind = "restored" // the store was restored from a copy: what was logged since the copy is gone
)

// Results of sums.
const (
	OK      = "ok"
	Denied  = "denied"  // the token does not allow it
	Invalid = "invalid" // the request is wrong
	Failed  = "failed"
)

// Who did it, apart from named tokens.
const (
	Owner  = "owner"  // who has the relay's own access token
	Signed = "signed" // who has a file's signed address
	Nobody = "nobody" // no valid token
	Relay  = "relay"  // the relay by itself
	Others = "others" // further tokens, where there are too many to name
)

// Named is who uses a named token.
func Named(token string) string { return "token/" + token }

// Spans of sums.
const (
	Minute = time.Minute
	Hour   = time.Hour
)

// Span is how long the time is in which things of a kind are counted: that of a person's export or erasure is not told
// more exactly than by the hour.
func (k Kind) Span() time.Duration {
	if k == Export || k == Erase {
		return Hour
	}
	return Minute
}

// Entry is one entry of a log: the sums of a minute or an hour, or one thing that happened in a minute.
type Entry struct {
	Version int       `json:"v"`
	Salt    []byte    `json:"salt"`
	Time    time.Time `json:"time"`    // when the minute or hour began, UTC
	Seconds int       `json:"seconds"` // 60 or 3600
	Sums    []Sum     `json:"sums,omitempty"`
	Kind    Kind      `json:"kind,omitempty"`
	// Body is a JSON object about the kind.
	Body json.RawMessage `json:"body,omitempty"`
}

// Sum is how often somebody did something.
type Sum struct {
	Who    string `json:"who"`
	Kind   Kind   `json:"kind"`
	Result string `json:"result"`
	Count  int64  `json:"count"`
}

// ErrEntry means that something cannot be an entry.
var ErrEntry = errors.New("an entry of the log has a kind in lower-case letters and hyphens and a JSON object of at most 32 KiB")

var kindForm = regexp.MustCompile(`^[a-z][a-z-]{0,63}$`)

// NewEntry makes an entry about one thing. Body is a JSON object of at most MaxBody bytes.
func NewEntry(kind Kind, body []byte, at time.Time) (leaf []byte, err error) {
	if !kindForm.MatchString(string(kind)) || len(body) > MaxBody || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) || !json.Valid(body) {
		return nil, ErrEntry
	}
	return Entry{Time: at.UTC().Truncate(Minute), Seconds: int(Minute / time.Second), Kind: kind, Body: body}.leaf()
}

// NewSums makes an entry of sums of the time from begin on.
func NewSums(sums []Sum, begin time.Time, span time.Duration) (leaf []byte, err error) {
	return Entry{Time: begin.UTC(), Seconds: int(span / time.Second), Sums: sums}.leaf()
}

// leaf returns the entry with a new salt, as it is hashed.
func (e Entry) leaf() ([]byte, error) {
	e.Version, e.Salt = Version, make([]byte, saltSize)
	_, _ = rand.Read(e.Salt) // never fails
	leaf, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("writing an entry of the log: %w", err)
	}
	return leaf, nil
}

// ParseEntry reads an entry. Fields of later versions are ignored.
func ParseEntry(leaf []byte) (Entry, error) {
	var e Entry
	if json.Unmarshal(leaf, &e) != nil || e.Version < 1 || e.Time.IsZero() {
		return Entry{}, ErrEntry
	}
	return e, nil
}
