package cloudapi

import "net/http"

// The edges of the business account. Clients call them before they send their first message: to
// test a token, and to find the number.

// accountFields are the fields of the account that are shown when the request names none.
const accountFields = "id,name"

// account serves GET /{business-account-id}.
func (a *API) account(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	fields, err := wanted(r, accountFields)
	if err != nil {
		return nil, err
	}
	var counted analytics
	for i, f := range fields {
		if f.name == "analytics" {
			if counted, err = a.analytics(r, f.params); err != nil {
				return nil, err
			}
			fields[i].params = nil
		}
	}
	return showFields(fields, a.Number.AccountID, a.accountField(counted))
}

// accountField returns a function that returns one field of the account.
func (a *API) accountField(counted analytics) func(wantedField) (any, bool) {
	return plainField(func(name string) (any, bool) {
		switch name {
		case "owner_business_info":
			return map[string]string{"id": a.Number.AccountID, "name": a.accountName()}, true
		case "health_status":
			return a.health("WABA", a.Number.AccountID), true
		case "analytics":
			return counted, true
		}
		return a.callerField(name)
	})
}

// listed is the answer that lists objects on one page.
type listed struct {
	Data   []any   `json:"data"`
	Paging *paging `json:"paging,omitempty"`
}

// numberFields are the fields of a listed number that are shown when the request names none.
const numberFields = defaultFields + ",code_verification_status,platform_type,throughput,webhook_configuration"

// phoneNumbers serves GET /{business-account-id}/phone_numbers: the relay's own number, and then those of the other
// relays of the account.
func (a *API) phoneNumbers(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	limit, err := pageLimit(r, defaultNumbers, maxNumbers)
	if err != nil {
		return nil, err
	}
	others := a.Others()
	from, to, err := window(r, 1+len(others), limit)
	if err != nil {
		return nil, err
	}
	page := listed{Data: []any{}}
	for i := from; i < to; i++ {
		id, field := a.Number.ID, a.field
		if i > 0 {
			id, field = others[i-1].ID, otherField(others[i-1])
		}
		n, err := show(r, id, numberFields, field)
		if err != nil {
			return nil, err
		}
		page.Data = append(page.Data, n)
	}
	if from < to {
		page.Paging = &paging{Cursors: cursors{After: cursor(to), Before: cursor(from)}}
	}
	return page, nil
}

// A page of numbers.
const (
	defaultNumbers = 25
	maxNumbers     = 1000 // the most that clients ask for
)

// subscribed serves GET /{business-account-id}/subscribed_apps: the business's webhook is the one
// application.
func (a *API) subscribed(http.ResponseWriter, *http.Request, string) (any, error) {
	type data struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Link string `json:"link"`
	}
	type app struct {
		Data     data   `json:"whatsapp_business_api_data"`
		Override string `json:"override_callback_uri,omitempty"`
	}
	page := listed{Data: []any{}}
	if a.Number.Webhook != "" {
		page.Data = append(page.Data, app{Data: data{ID: appID, Name: appName, Link: appLink}, Override: a.Number.Webhook})
	}
	return page, nil
}

// subscribe serves POST /{business-account-id}/subscribed_apps. The relay sends webhooks as soon
// as the BusinessRelay has one.
func (a *API) subscribe(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q webhookOverride
	body, err := readBody(w, r)
	if err == nil && (len(body) > 0 || r.URL.RawQuery != "") { // both may be left out
		err = decodeParams(r, body, &q)
	}
	if err != nil {
		return nil, err
	}
	if a.Number.Webhook == "" {
		return nil, errDenied("The BusinessRelay has no webhook: set spec.webhook.url.")
	}
	return a.override(q)
}
