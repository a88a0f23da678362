package cloudapi

import (
	"cmp"
	"errors"
	"net/http"
)

// What a relay is to clients that ask for the application behind a token.
const (
	appID   = "1"
	appName = "Relaykeep"
	appLink = "https://github.com/relaykeep/relaykeep"
)

// me serves GET /me: a token acts for the business.
func (a *API) me(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	return show(r, a.Number.AccountID, accountFields, a.callerField)
}

// callerField returns one field of the business that a token acts for.
func (a *API) callerField(name string) (any, bool) {
	switch name {
	case "id":
		return a.Number.AccountID, true
	case "name":
		return a.accountName(), true
	}
	return nil, false
}

// accountName is the name of the business account: that of its one number, if it has no other.
func (a *API) accountName() string { return cmp.Or(a.Number.AccountName, a.Number.Name) }

// permissions serves GET /me/permissions.
func (a *API) permissions(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	type permission struct {
		Permission string `json:"permission"`
		Status     string `json:"status"`
	}
	page := listed{Data: []any{}}
	for _, s := range callerOf(r).scopes() {
		page.Data = append(page.Data, permission{s, "granted"})
	}
	return page, nil
}

// tokenInfo describes a token. A token that is not valid has only IsValid and Error.
type tokenInfo struct {
	AppID       string          `json:"app_id,omitempty"`
	Type        string          `json:"type,omitempty"`
	Application string          `json:"application,omitempty"`
	ExpiresAt   *int64          `json:"expires_at,omitempty"` // Unix seconds; 0: never
	IsValid     bool            `json:"is_valid"`
	Scopes      []string        `json:"scopes"`
	Granular    []granularScope `json:"granular_scopes,omitempty"`
	Error       *tokenError     `json:"error,omitempty"`
}

type granularScope struct {
	Scope   string   `json:"scope"`
	Targets []string `json:"target_ids"`
}

type tokenError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// debugToken serves GET /debug_token?input_token=…. The caller has proven that it has a valid
// token; the one that it asks about may be another.
func (a *API) debugToken(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	type answer struct {
		Data tokenInfo `json:"data"`
	}
	input := r.URL.Query().Get("input_token")
	if input == "" {
		return nil, errMissing("input_token")
	}
	c, err := a.holder(input)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return nil, err
		}
		return answer{tokenInfo{Scopes: []string{}, Error: &tokenError{e.Code, e.Message}}}, nil
	}
	info := tokenInfo{AppID: appID, Type: "SYSTEM_USER", Application: appName, IsValid: true, Scopes: c.scopes(), ExpiresAt: new(int64)}
	for _, s := range info.Scopes {
		info.Granular = append(info.Granular, granularScope{s, []string{a.Number.AccountID}})
	}
	if !c.until.IsZero() {
		*info.ExpiresAt = c.until.Unix()
	}
	return answer{info}, nil
}
