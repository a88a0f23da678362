package cloudapi

import (
	"net/http"
	"strconv"
)

// contactPage is the body of a list of contact requests.
type contactPage struct {
	Data   []contactRequest `json:"data"`
	Paging *paging          `json:"paging,omitempty"` // nil at the end
}

type contactRequest struct {
	WaID    string `json:"wa_id,omitempty"`
	UserID  string `json:"user_id,omitempty"`
	Request string `json:"contact_request"` // "pending" or "declined"
	Since   string `json:"since"`           // Unix seconds
	Waiting int    `json:"waiting_messages"`
}

// contactRequests serves GET of /{phone-number-id}/customers: the customers to whom the relay
// cannot write because their clients show their keys only to contacts.
func (a *API) contactRequests(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	limit, err := pageLimit(r, defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after := int64(0)
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return nil, errInvalidParameter("Param after must be the cursor of the previous page.")
		}
	}
	open, err := a.Customers.ContactRequests(r.Context(), after, limit)
	if err != nil {
		return nil, fromService(err)
	}
	page := contactPage{Data: []contactRequest{}}
	for _, c := range open {
		state := "pending"
		if c.Declined {
			state = "declined"
		}
		one := contactRequest{UserID: c.UserID, Request: state, Since: strconv.FormatInt(c.Since.Unix(), 10), Waiting: c.Waiting}
		if !a.HideNumbers {
			one.WaID = c.Number.Digits()
		}
		page.Data = append(page.Data, one)
	}
	if len(open) == limit {
		page.Paging = &paging{Cursors: cursors{After: strconv.FormatInt(open[limit-1].Cursor, 10)}}
	}
	return page, nil
}
