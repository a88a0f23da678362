// Package cloudapi is the business's HTTP interface: the paths, bodies, limits and error objects
// of the WhatsApp Cloud API, so that an existing client works once its base URL is changed. It
// must not know about carriers, keys, sessions or how a message is stored: it checks a request
// and passes it to a Service.
package cloudapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/proof"
)

// Errors that a Service returns; the handler turns them into the API's.
var (
	// ErrUnknownMessage means that no message received from a customer has this id.
	ErrUnknownMessage = errors.New("no such message")
	// ErrUnavailable means that the request may succeed later.
	ErrUnavailable = errors.New("service unavailable")
	// ErrRecipientFull means that the recipient's share of the volume is used up.
	ErrRecipientFull = errors.New("the recipient's share of the volume is used up")
	// ErrOptedOut means that the recipient asked the business to stop.
	ErrOptedOut = errors.New("the recipient opted out")
	// ErrUnknownFile means that no file has this id.
	ErrUnknownFile = errors.New("no such file")
	// ErrFileKind means that a file cannot be sent as a message of that kind.
	ErrFileKind = errors.New("the file is of another kind")
)

// FormerToken is an access token that was rotated away.
type FormerToken struct {
	Token string
	Until time.Time
}

// LimitError means that the business may not write to the recipient now, because it wrote to too many strangers. Held says
// that it may write to none; Wait is after what time it may be worth trying again.
type LimitError struct {
	Held bool
	Wait time.Duration
}

// Error implements error.
func (e *LimitError) Error() string { return "the business may not write to the recipient now" }

// Options say what an API serves. All but Encryption, Tokens, Requests, DeadLetters, Ledger, Canaries, Note, BaseURL, Hosts, MarkFiles, Now, Log,
// Quality, Tier, Problems, Others and Observe are required.
type Options struct {
	Service   Service
	Customers Customers // nil: the edge "customers" does not exist
	// Requests remembers those that name an Idempotency-Key; nil: the header makes no difference.
	Requests Requests
	// DeadLetters are the webhooks that were given up; nil: the edge "dead_letters" does not exist.
	DeadLetters DeadLetters
	// Ledger is the relay's log; nil: the edge "log" does not exist.
	Ledger Ledger
	// Canaries announces the customer of an audit; nil: the edge "canary" does not exist.
	Canaries Canaries
	Number   Number
	Token    string // the access token that requests must have
	// Former is the token before Token, which is accepted for a while; the zero value accepts
	// none.
	Former FormerToken
	// Tokens are the business's named access tokens; nil: there are none, and their edge does not exist.
	Tokens *access.Tokens
	// HideNumbers keeps customers' numbers out of all answers and takes none: the business knows its
	// customers by user id only. If it could still name a number, it would find out whose a user id is,
	// for example by blocking that user id and writing to the number.
	HideNumbers bool
	// BaseURL is where clients find the API, for files' addresses; empty means the host that a
	// request names.
	BaseURL string
	// Hosts are the relay's own host names. A request to one of them, at any port, gets files'
	// addresses there and not below BaseURL.
	Hosts []string
	// MarkFiles has the ids of files begin with the number's and a slash, for a host name that several relays
	// have in common: gateways there find the relay by whole segments of a path.
	MarkFiles bool
	// Encryption is the number's payload encryption; nil for none.
	Encryption *Encryption
	// Throughput is how many messages a second are accepted at most.
	Throughput int
	Log        *slog.Logger
	Now        func() time.Time
	// Quality is the number's quality rating: GREEN, YELLOW, RED or UNKNOWN.
	Quality func() string
	// Tier is how many strangers the number may write to a day, TIER_250 to TIER_UNLIMITED.
	Tier func() string
	// Problems returns what keeps the business from sending now; none for nil.
	Problems func() []Problem
	// Others returns the other numbers of the business account; none for nil.
	Others func() []OtherNumber
	// Observe is called for each answer with the route, the HTTP status, the API's error code
	// (0 for none) and how long it took. Nothing in it is personal.
	Observe func(route string, status, code int, took time.Duration)
	// Note is called before each answer to a request about messages, files, customers, tokens or the log, and to one without
	// a valid token, with who sent it and what came of it, in the words of package proof; nil for nobody. The context may have
	// ended.
	Note func(ctx context.Context, who string, kind proof.Kind, result string)
}

// API is the HTTP handler of one number. It is safe for concurrent use.
type API struct {
	Options
	tokenHash  [sha256.Size]byte
	formerHash [sha256.Size]byte
	fileKey    [sha256.Size]byte // signs addresses of files
	limits     *limits
	routes     []route
	uploads    chan struct{} // room for uploads that run
	editing    sync.Mutex    // held while a template is read and changed
}
