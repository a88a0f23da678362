package cloudapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
)

// Who may use a route, beside the scopes of package access.
const (
	anyToken  access.Scope = ""      // every token that is valid
	ownerOnly access.Scope = "owner" // the business's own token: no named one has this scope
)

// caller is whom an access token stands for: the business, or a holder of a named token.
type caller struct {
	owner bool
	until time.Time // when the token ends; zero for never
	named access.Token
}

func (c caller) allows(s access.Scope) bool { return s == anyToken || c.owner || c.named.Allows(s) }

// scopes are the permissions of the token, as the Graph API names them.
func (c caller) scopes() []string {
	scopes := []string{}
	if c.allows(access.Send) || c.allows(access.Media) {
		scopes = append(scopes, "whatsapp_business_messaging")
	}
	if slices.ContainsFunc([]access.Scope{access.Read, access.Templates, access.Audit, access.Admin}, c.allows) {
		scopes = append(scopes, "whatsapp_business_management")
	}
	return scopes
}

// errScope says what a token does not allow.
func errScope(s access.Scope) *Error {
	if s == ownerOnly {
		return errDenied("Only the relay's own access token can do this, and no named one.")
	}
	return errDenied(fmt.Sprintf("This access token has not the scope %s.", s))
}

type callerKey struct{}

// callerOf returns who sent a request that was authenticated.
func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// authenticate accepts a token as a bearer token or, as some clients send it, as the query
// parameter access_token, and returns the request with its caller.
func (a *API) authenticate(r *http.Request) (*http.Request, error) {
	token := bearer(r.Header.Get("Authorization"))
	if token == "" {
		token = r.URL.Query().Get("access_token")
	}
	if token == "" {
		return nil, errToken("An access token is required to request this resource.")
	}
	c, err := a.holder(token)
	if err != nil {
		return nil, err
	}
	u := useOf(r)
	u.caller, u.known = c, true
	if c.named.Name != "" {
		if err := a.Tokens.Use(r.Context(), c.named); err != nil {
			a.Log.LogAttrs(r.Context(), slog.LevelWarn, "the day of a token's use was not noted", slog.Any("error", err))
		}
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), nil
}

// holder returns whom a token stands for. It compares hashes in constant time, so that the time reveals
// neither a token nor its length.
func (a *API) holder(token string) (caller, error) {
	sum := sha256.Sum256([]byte(token))
	present := subtle.ConstantTimeCompare(sum[:], a.tokenHash[:]) == 1
	former := subtle.ConstantTimeCompare(sum[:], a.formerHash[:]) == 1 && a.Former.Token != "" && a.Now().Before(a.Former.Until)
	switch {
	case present:
		return caller{owner: true}, nil
	case former:
		return caller{owner: true, until: a.Former.Until}, nil
	}
	if a.Tokens != nil {
		if t, ok := a.Tokens.Find(token); ok {
			if t.Expired(a.Now()) {
				return caller{}, errTokenExpired()
			}
			return caller{until: t.Expires, named: t}, nil
		}
	}
	return caller{}, errToken("Invalid OAuth access token.")
}

// bearer returns the token in an Authorization header. Graph clients may also use the scheme
// OAuth.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "OAuth") {
		return strings.TrimSpace(token)
	}
	return ""
}
