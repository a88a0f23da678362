package cloudapi

import (
	"cmp"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
)

// This edge is the relay's own: the hosted API makes tokens in its console. Only the relay's own access token
// may use it.

// newToken has the parameters of a new access token.
type newToken struct {
	Name      string         `json:"name"`
	Scopes    []access.Scope `json:"scopes"`
	ExpiresIn identifier     `json:"expires_in"` // seconds; empty or 0 for never
	// SHA256 is the hash of a token that the caller made, in hexadecimal; empty to have one made.
	SHA256 string `json:"sha256"`
}

// shownToken is what the edge tells of a token.
type shownToken struct {
	Name     string         `json:"name"`
	Scopes   []access.Scope `json:"scopes"`
	Created  int64          `json:"created"`             // Unix seconds, as all times here
	Expires  int64          `json:"expires_at"`          // 0 for never
	LastUsed string         `json:"last_used,omitempty"` // a day, UTC; empty for never
	Token    string         `json:"token,omitempty"`     // only in the answer to the request that had it made
}

// maxLife is the longest life of a token that ends, in seconds: ten years.
const maxLife = 10 * 366 * 24 * 60 * 60

// tokens serves GET of /{phone-number-id}/access_tokens.
func (a *API) tokens(http.ResponseWriter, *http.Request, string) (any, error) {
	page := listed{Data: []any{}}
	for _, t := range a.Tokens.List() {
		page.Data = append(page.Data, shownOf(t))
	}
	return page, nil
}

// createToken serves POST of /{phone-number-id}/access_tokens.
func (a *API) createToken(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q newToken
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	expires, err := a.expiry(string(q.ExpiresIn))
	if err != nil {
		return nil, err
	}
	if q.SHA256 != "" {
		hash, err := hex.DecodeString(q.SHA256)
		if err != nil {
			return nil, fromTokens(access.ErrHash)
		}
		made, err := a.Tokens.Add(r.Context(), hash, q.Name, q.Scopes, expires)
		if err != nil {
			return nil, fromTokens(err)
		}
		return shownOf(made), nil
	}
	secret, made, err := a.Tokens.Create(r.Context(), q.Name, q.Scopes, expires)
	if err != nil {
		return nil, fromTokens(err)
	}
	shown := shownOf(made)
	shown.Token = secret
	return shown, nil
}

// expiry is when a token ends that is valid for so many seconds from now; zero for never.
func (a *API) expiry(seconds string) (time.Time, error) {
	n, err := strconv.Atoi(cmp.Or(seconds, "0"))
	switch {
	case err != nil || n < 0 || n > maxLife:
		return time.Time{}, errInvalidParameter("Param expires_in must be how many seconds the token is valid, at most ten years, or 0 for a token that never expires.")
	case n == 0:
		return time.Time{}, nil
	}
	return a.Now().Add(time.Duration(n) * time.Second).Truncate(time.Second), nil
}

// revokeToken serves DELETE of /{phone-number-id}/access_tokens/{name}.
func (a *API) revokeToken(_ http.ResponseWriter, r *http.Request, name string) (any, error) {
	if err := a.Tokens.Revoke(r.Context(), name); err != nil {
		return nil, fromTokens(err)
	}
	return success{true}, nil
}

func shownOf(t access.Token) shownToken {
	shown := shownToken{Name: t.Name, Scopes: t.Scopes, Created: t.Created.Unix()}
	if !t.Expires.IsZero() {
		shown.Expires = t.Expires.Unix()
	}
	if !t.Used.IsZero() {
		shown.LastUsed = t.Used.Format(time.DateOnly)
	}
	return shown
}

// fromTokens turns an error of the tokens into the API's.
func fromTokens(err error) error {
	for bad, param := range map[error]string{
		access.ErrName: "name", access.ErrExists: "name", access.ErrUnknown: "name",
		access.ErrScope: "scopes", access.ErrExpires: "expires_in", access.ErrTooMany: "name",
		access.ErrHash: "sha256",
	} {
		if errors.Is(err, bad) {
			return errInvalidParameter("Param " + param + ": " + bad.Error() + ".")
		}
	}
	return fromService(err)
}
