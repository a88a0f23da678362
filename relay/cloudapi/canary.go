package cloudapi

import (
	"errors"
	"net/http"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// This edge is the relay's own: an audit writes as a customer who is nobody, whose webhooks are kept back. Only the
// business's own token may say who that is.

// shownCanary is a canary in an answer.
type shownCanary struct {
	UserID string `json:"user_id"`
	Until  int64  `json:"until"`     // Unix seconds
	Kept   int64  `json:"kept_back"` // webhooks
}

// canary serves GET, POST and DELETE of /{phone-number-id}/canary.
func (a *API) canary(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var c Canary
	var err error
	switch r.Method {
	case http.MethodGet:
		c, err = a.Canaries.Announced(r.Context())
	case http.MethodDelete:
		if err = a.Canaries.End(r.Context()); err == nil {
			return success{true}, nil
		}
	case http.MethodPost:
		c, err = a.announce(w, r)
	}
	switch {
	case errors.Is(err, ErrNoCanary):
		return nil, errNoObject(r.Method, "")
	case errors.Is(err, ErrCanaryNumber):
		return nil, errInvalidParameter("Param number must begin with +999, the country code that is nobody's.")
	case errors.Is(err, ErrCanaryTaken):
		return nil, errInvalidParameter("Another canary is announced, or a customer has this number: end that one, or take another number.")
	case err != nil:
		return nil, fromService(err)
	}
	return shownCanary{c.UserID, c.Until.Unix(), c.Kept}, nil
}

func (a *API) announce(w http.ResponseWriter, r *http.Request) (Canary, error) {
	var q struct {
		Number identifier `json:"number"`
	}
	if err := readParams(w, r, &q); err != nil {
		return Canary{}, err
	}
	if q.Number == "" {
		return Canary{}, errMissing("number")
	}
	n, err := phone.ParseLoose(string(q.Number))
	if err != nil {
		return Canary{}, errNumber("Param number", err)
	}
	return a.Canaries.Announce(r.Context(), n)
}
