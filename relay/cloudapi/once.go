package cloudapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// MaxOnceKey is the longest Idempotency-Key, in characters.
const MaxOnceKey = 255

// once returns a request that has an Idempotency-Key, with the hash of what it asks for; nil if it has none.
func (a *API) once(r *http.Request, route string, body []byte) (*Once, error) {
	key, err := a.onceKey(r)
	if key == "" || err != nil {
		return nil, err
	}
	query := r.URL.Query()
	query.Del("access_token") // a client may renew it before it tries again
	query.Del("appsecret_proof")
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00", route, query.Encode())
	h.Write(body)
	o := &Once{Key: key}
	h.Sum(o.Body[:0])
	return o, nil
}

// onceKey returns the request's Idempotency-Key; empty if it has none.
func (a *API) onceKey(r *http.Request) (string, error) {
	keys, named := r.Header[onceHeader]
	if !named || a.Requests == nil {
		return "", nil
	}
	if len(keys) != 1 || !isOnceKey(keys[0]) {
		return "", errInvalidParameter(fmt.Sprintf("The header %s must be there once, with 1 to %d printable ASCII characters.", onceHeader, MaxOnceKey))
	}
	return keys[0], nil
}

// isOnceKey says whether a text may be a key: printable ASCII.
func isOnceKey(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= MaxOnceKey
}

// again answers a request that was done before as it was answered then. Done is false if it was not.
func (a *API) again(ctx context.Context, q *request, o *Once) (answer any, done bool, err error) {
	if o == nil {
		return nil, false, nil
	}
	id, err := a.Requests.Answered(ctx, *o)
	switch {
	case errors.Is(err, ErrNotAnswered):
		return nil, false, nil
	case err != nil:
		return nil, false, fromService(err)
	case q.Status != "":
		return success{true}, true, nil
	}
	to := a.addressees(ctx)
	to.find = func(string) (n phone.Number, err error) { return n, nil } // who may have been erased since
	_, who, err := q.recipient(to)
	if err != nil {
		return nil, false, err
	}
	given := acceptance(who, id)
	if q.Type == "template" {
		given.Messages[0].Status = templateAccepted
	}
	return given, true, nil
}
