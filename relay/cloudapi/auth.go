package cloudapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// authenticate accepts the token as a bearer token or, as some clients send it, as the query
// parameter access_token. It compares hashes in constant time, so that the time reveals neither
// the token nor its length.
func (a *API) authenticate(r *http.Request) error {
	token := bearer(r.Header.Get("Authorization"))
	if token == "" {
		token = r.URL.Query().Get("access_token")
	}
	if token == "" {
		return errToken("An access token is required to request this resource.")
	}
	if _, ok := a.tokenUntil(token); !ok {
		return errToken("Invalid OAuth access token.")
	}
	return nil
}

// tokenUntil says whether a token is valid, and until when; the zero time is no end.
func (a *API) tokenUntil(token string) (until time.Time, ok bool) {
	sum := sha256.Sum256([]byte(token))
	present := subtle.ConstantTimeCompare(sum[:], a.tokenHash[:]) == 1
	former := subtle.ConstantTimeCompare(sum[:], a.formerHash[:]) == 1 && a.Former.Token != "" && a.Now().Before(a.Former.Until)
	if former && !present {
		until = a.Former.Until
	}
	return until, present || former
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
