package cloudapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// This edge is the relay's own: the hosted API has nothing like it. It serves a person's rights
// to erasure and to access.

// Bounds of one page of an export, in messages.
const (
	defaultPage = 100
	maxPage     = 500
)

// exported is the body of an export.
type exported struct {
	MessagingProduct string           `json:"messaging_product"`
	WaID             string           `json:"wa_id,omitempty"`
	UserID           string           `json:"user_id,omitempty"`
	Name             string           `json:"name,omitempty"`
	LastInbound      string           `json:"last_inbound,omitempty"`
	Blocked          bool             `json:"blocked"`
	OptedOut         string           `json:"opted_out,omitempty"`
	Devices          []ExportedDevice `json:"devices"`
	Messages         messagePage      `json:"messages"`
}

type messagePage struct {
	Data   []ExportedMessage `json:"data"`
	Paging *paging           `json:"paging,omitempty"` // nil at the end
}

// customers serves DELETE and GET of /{phone-number-id}/customers/{number or user id}.
func (a *API) customers(_ http.ResponseWriter, r *http.Request, who string) (any, error) {
	n, err := a.person(r, who)
	switch {
	case errors.Is(err, ErrUnknownCustomer) && r.Method == http.MethodDelete:
		return success{true}, nil // as of a number that nothing is stored about
	case errors.Is(err, ErrUnknownCustomer):
		return nil, errNoObject(r.Method, "")
	case err != nil:
		return nil, err
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

// person returns who is named in a path.
func (a *API) person(r *http.Request, who string) (phone.Number, error) {
	const param = "The last part of the path"
	if userID.MatchString(who) {
		return a.addresseesOf(r).find(who)
	}
	n, err := phone.ParseLoose(who)
	switch {
	case err != nil:
		return n, errNumber(param, err)
	case a.HideNumbers:
		return n, errHidden(param, "the user id")
	}
	return n, nil
}

func (a *API) export(r *http.Request, n phone.Number) (any, error) {
	limit, err := pageLimit(r, defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after := r.URL.Query().Get("after")
	if len(after) > MaxMessageID {
		return nil, errInvalidParameter("Param after must be the cursor of the previous page.")
	}
	e, err := a.Customers.Export(r.Context(), n, after, limit)
	if errors.Is(err, ErrUnknownCustomer) {
		return nil, errNoObject(r.Method, "")
	}
	if err != nil {
		return nil, fromService(err)
	}
	body := exported{MessagingProduct: product, UserID: e.UserID, Name: e.Name, Blocked: e.Blocked, Devices: e.Devices, Messages: messagePage{Data: e.Messages}}
	if !a.HideNumbers {
		body.WaID = n.Digits()
	}
	if !e.LastInbound.IsZero() {
		body.LastInbound = strconv.FormatInt(e.LastInbound.Unix(), 10)
	}
	if !e.OptedOut.IsZero() {
		body.OptedOut = strconv.FormatInt(e.OptedOut.Unix(), 10)
	}
	if len(e.Devices) == 0 {
		body.Devices = []ExportedDevice{}
	}
	if len(e.Messages) == 0 {
		body.Messages.Data = []ExportedMessage{}
	}
	if e.More && len(e.Messages) > 0 {
		body.Messages.Paging = &paging{Cursors: cursors{After: e.Messages[len(e.Messages)-1].ID}}
	}
	return body, nil
}
