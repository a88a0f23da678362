package cloudapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// This edge is the relay's own: the hosted API has nothing like it. It serves the
// rights of a person, to erasure and to access.

// ErrUnknownCustomer means that nothing is kept of a person.
var ErrUnknownCustomer = errors.New("no such customer")

// Bounds of one page of an export, in messages.
const (
	defaultPage = 100
	maxPage     = 500
)

// Customers is what is kept of single persons.
type Customers interface {
	// Erase removes everything that is kept of a person; nothing is no error. It may be
	// called again after a failure.
	Erase(ctx context.Context, n phone.Number) error
	// Export returns what is kept of a person, with at most limit messages: those after
	// the one with the given id. ErrUnknownCustomer.
	Export(ctx context.Context, n phone.Number, after string, limit int) (*Export, error)
}

// Export is what is kept of one person.
type Export struct {
	Name        string
	LastInbound time.Time // zero when nothing came
	Blocked     bool      // by the business
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
	Timestamp string          `json:"timestamp"` // Unix seconds, as everywhere in the API
	Opaque    string          `json:"biz_opaque_callback_data,omitempty"`
	Content   json.RawMessage `json:"content"`
	File      *ExportedFile   `json:"file,omitempty"`
}

// ExportedFile describes a file of a message; its content is had by its id, as any
// file's. One that is not kept any more has none.
type ExportedFile struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"` // "image" and so on
	MIME     string `json:"mime_type"`
	SHA256   string `json:"sha256"`    // hexadecimal
	Size     int64  `json:"file_size"` // bytes
	Filename string `json:"filename,omitempty"`
}

// exported is the body of an export.
type exported struct {
	MessagingProduct string           `json:"messaging_product"`
	WaID             string           `json:"wa_id"`
	Name             string           `json:"name,omitempty"`
	LastInbound      string           `json:"last_inbound,omitempty"`
	Blocked          bool             `json:"blocked"`
	Devices          []ExportedDevice `json:"devices"`
	Messages         messagePage      `json:"messages"`
}

type messagePage struct {
	Data   []ExportedMessage `json:"data"`
	Paging *paging           `json:"paging,omitempty"` // nil at the end
}

// customers serves DELETE and GET of /{phone-number-id}/customers/{number}.
func (a *API) customers(r *http.Request, number string) (any, error) {
	n, err := phone.ParseLoose(number)
	if err != nil {
		return nil, errInvalidValue("The path must end in a phone number with its country code.")
	}
	switch r.Method {
	case http.MethodDelete:
		if err := a.Customers.Erase(r.Context(), n); err != nil {
			return nil, fromService(err)
		}
		return success{true}, nil
	case http.MethodGet:
		return a.export(r, n)
	}
	return nil, errNoObject(r.Method, "")
}

func (a *API) export(r *http.Request, n phone.Number) (any, error) {
	limit, err := pageLimit(r, defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after := r.URL.Query().Get("after")
	if len(after) > MaxMessageID {
		return nil, errInvalidParameter("Param after must be a cursor of the page before.")
	}
	e, err := a.Customers.Export(r.Context(), n, after, limit)
	if errors.Is(err, ErrUnknownCustomer) {
		return nil, errNoObject(r.Method, "")
	}
	if err != nil {
		return nil, fromService(err)
	}
	body := exported{MessagingProduct: product, WaID: n.Digits(), Name: e.Name, Blocked: e.Blocked, Devices: e.Devices, Messages: messagePage{Data: e.Messages}}
	if !e.LastInbound.IsZero() {
		body.LastInbound = strconv.FormatInt(e.LastInbound.Unix(), 10)
	}
	if len(e.Devices) == 0 {
		body.Devices = []ExportedDevice{}
	}
	if len(e.Messages) == 0 {
		body.Messages.Data = []ExportedMessage{}
	}
	if e.More && len(e.Messages) > 0 {
		body.Messages.Paging = &paging{cursors{After: e.Messages[len(e.Messages)-1].ID}}
	}
	return body, nil
}
