// Package cloudapi is the business's HTTP interface: the paths, bodies, limits and
// error objects of the WhatsApp Cloud API, so that an existing client works by
// changing its base URL. It must not know of carriers, keys, sessions or how a
// message is stored: it checks what a request says and hands it to a Service.
package cloudapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Errors that a Service answers with; the handler turns them into the API's.
var (
	// ErrUnknownMessage means that no message received from a customer has this id.
	ErrUnknownMessage = errors.New("no such message")
	// ErrUnavailable means that the request may succeed later.
	ErrUnavailable = errors.New("service unavailable")
	// ErrUnknownFile means that no file has this id.
	ErrUnknownFile = errors.New("no such file")
	// ErrFileKind means that a file cannot be sent as a message of that kind.
	ErrFileKind = errors.New("the file is of another kind")
)

// Text is a text message that a business asks to send. It was validated.
type Text struct {
	To   phone.Number
	Body string // 1 to MaxTextLength characters
	// ReplyTo is the id of the message that this one answers; empty for none.
	ReplyTo string
	// Opaque comes back in the message's statuses; at most MaxOpaque bytes.
	Opaque string
	// IdentityHash names the identity key of the recipient's device that the message
	// is for, at most MaxIdentityHash bytes; empty for all devices.
	IdentityHash string
}

// Read marks a customer's message, and all before it, as read.
type Read struct {
	MessageID string
	// Typing shows the customer that an answer is being written; it ends with the
	// answer or after 25 seconds.
	Typing bool
}

// Service does what the API is asked.
type Service interface {
	// AcceptText stores the message durably and returns its id. When it returns nil
	// the message will be sent, whatever happens to this process.
	AcceptText(ctx context.Context, t Text) (id string, err error)
	// AcceptAttachment is the same for a message with a file: besides, it returns
	// ErrUnknownFile, ErrFileKind and media.ErrTooLarge.
	AcceptAttachment(ctx context.Context, a Attachment) (id string, err error)
	// MarkRead stores durably that the customer is to be told.
	MarkRead(ctx context.Context, r Read) error
	// StoreFile stores a file durably. Errors of its Body are returned wrapped.
	StoreFile(ctx context.Context, f NewFile) (id string, err error)
	// File describes a file, OpenFile reads it as it goes, DeleteFile removes it: all
	// of them, or ErrUnknownFile.
	File(ctx context.Context, id string) (File, error)
	OpenFile(ctx context.Context, id string) (File, io.ReadSeeker, error)
	DeleteFile(ctx context.Context, id string) error
	// Block drops what these customers send from now on, or returns ErrBlockListFull
	// and blocks nobody. Unblock ends that. Blocked lists them in a steady order.
	Block(ctx context.Context, numbers []phone.Number) error
	Unblock(ctx context.Context, numbers []phone.Number) error
	Blocked(ctx context.Context) ([]phone.Number, error)
}

// Number is the business's number as the API shows it.
type Number struct {
	ID    string // phone-number-id, decimal
	Phone phone.Number
	Name  string // verified_name
}

// Former is an access token that was rotated away.
type Former struct {
	Token string
	Until time.Time
}

// Options say what an API serves. All but BaseURL, Now, Log, Quality and
// Observe are required.
type Options struct {
	Service   Service
	Customers Customers // nil: nothing is asked about single persons
	Number    Number
	Token     string // the access token that requests must bear
	// Former is the token before it, which is accepted for a while; the zero Former
	// accepts none.
	Former Former
	// BaseURL is where clients find the API, for addresses of files; empty means the
	// host that a request names.
	BaseURL string
	// Throughput is the most messages a second that are accepted.
	Throughput int
	Log        *slog.Logger
	Now        func() time.Time
	// Quality is the number's quality rating: GREEN, YELLOW, RED or UNKNOWN.
	Quality func() string
	// Observe is told of each answer: the route, the HTTP status, the API's error
	// code (0 for none) and how long it took. Nothing of it is personal.
	Observe func(route string, status, code int, took time.Duration)
}

// API is the HTTP handler of one number. It is safe for concurrent use.
type API struct {
	Options
	tokenHash  [sha256.Size]byte
	formerHash [sha256.Size]byte
	fileKey    [sha256.Size]byte // signs addresses of files
	limits     *limits
	uploads    chan struct{} // room for files that are under way
}

// New returns the handler for o.
func New(o Options) *API {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Quality == nil {
		o.Quality = func() string { return "UNKNOWN" }
	}
	if o.Observe == nil {
		o.Observe = func(string, int, int, time.Duration) {}
	}
	return &API{
		Options: o, limits: newLimits(o.Throughput),
		tokenHash: sha256.Sum256([]byte(o.Token)), formerHash: sha256.Sum256([]byte(o.Former.Token)),
		fileKey: sha256.Sum256([]byte("relaykeep media address v1\x00" + o.Token)), uploads: make(chan struct{}, maxUploads),
	}
}

// version is the first segment of most paths; any is accepted and ignored.
var version = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,3}$`)

// Names of the routes, as Observe is told them.
const (
	routeMessages  = "messages"
	routeNumber    = "number"
	routeCustomers = "customers"
	routeUpload    = "upload"
	routeMedia     = "media"
	routeDownload  = "download"
	routeBlock     = "block_users"
	routeNone      = "none"
)

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := a.Now()
	ver, object, edge := split(r.URL.Path)
	answer := newAnswer(w, ver)
	route, body, err := a.route(w, r, object, edge)
	if body == (served{}) && err == nil {
		a.Observe(route, http.StatusOK, 0, a.Now().Sub(start))
		return
	}
	status, code := http.StatusOK, 0
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = errInternal()
			a.Log.LogAttrs(r.Context(), slog.LevelError, "request failed",
				slog.String("route", route), slog.String("trace", answer.trace), slog.Any("error", err))
		}
		status, code = e.Status, e.Code
		answer.fail(e)
	} else {
		answer.succeed(body)
	}
	a.Observe(route, status, code, a.Now().Sub(start))
}

// served stands for an answer that was written already.
type served struct{}

// route finds and runs what a request asks for. The token is checked before
// anything else, so that nobody without it learns which objects exist.
func (a *API) route(w http.ResponseWriter, r *http.Request, object, edge string) (string, any, error) {
	if object == "media" && edge != "" {
		answered, err := a.download(w, r, edge)
		if answered {
			return routeDownload, served{}, nil
		}
		return routeDownload, nil, err
	}
	if err := a.authenticate(r); err != nil {
		return routeNone, nil, err
	}
	switch {
	case object != a.Number.ID && edge == "" && digits(object) && r.Method == http.MethodGet:
		body, err := a.describe(r, object)
		return routeMedia, body, err
	case object != a.Number.ID && edge == "" && digits(object) && r.Method == http.MethodDelete:
		body, err := a.remove(r, object)
		return routeMedia, body, err
	case object != a.Number.ID:
		return routeNone, nil, errNoObject(r.Method, object)
	case edge == "messages" && r.Method == http.MethodPost:
		body, err := a.messages(w, r)
		return routeMessages, body, err
	case strings.HasPrefix(edge, customersEdge) && a.Customers != nil:
		body, err := a.customers(r, strings.TrimPrefix(edge, customersEdge))
		return routeCustomers, body, err
	case edge == "media" && r.Method == http.MethodPost:
		body, err := a.upload(w, r)
		return routeUpload, body, err
	case edge == "block_users" && (r.Method == http.MethodPost || r.Method == http.MethodDelete):
		body, err := a.block(w, r)
		return routeBlock, body, err
	case edge == "block_users" && r.Method == http.MethodGet:
		body, err := a.blocked(r)
		return routeBlock, body, err
	case edge == "" && r.Method == http.MethodGet:
		body, err := a.number(r)
		return routeNumber, body, err
	}
	return routeNone, nil, errNoObject(r.Method, object)
}

// customersEdge is followed by a customer's number.
const customersEdge = "customers/"

// split takes a path apart: an optional version, the object's id, and the edge, which
// may have two parts.
func split(path string) (ver, object, edge string) {
	parts := strings.SplitN(strings.Trim(path, "/"), "/", 5)
	if version.MatchString(parts[0]) {
		ver, parts = parts[0], parts[1:]
	}
	switch len(parts) {
	case 1:
		object = parts[0]
	case 2:
		object, edge = parts[0], parts[1]
	case 3:
		object, edge = parts[0], parts[1]+"/"+parts[2]
	}
	return ver, object, edge
}
