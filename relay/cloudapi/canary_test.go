package cloudapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// canaries is a relay's, of which one is announced once a number was.
type canaries struct{ number string }

func (c *canaries) Announce(_ context.Context, n phone.Number) (cloudapi.Canary, error) {
	switch {
	case !strings.HasPrefix(n.Digits(), "999"):
		return cloudapi.Canary{}, cloudapi.ErrCanaryNumber
	case c.number != "":
		return cloudapi.Canary{}, cloudapi.ErrCanaryTaken
	}
	c.number = n.Digits()
	return c.Announced(context.Background())
}

func (c *canaries) Announced(context.Context) (cloudapi.Canary, error) {
	if c.number == "" {
		return cloudapi.Canary{}, cloudapi.ErrNoCanary
	}
	return cloudapi.Canary{UserID: "DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5", Until: time.Unix(1_800_000_000, 0), Kept: 2}, nil
}

func (c *canaries) End(context.Context) error {
	if c.number == "" {
		return cloudapi.ErrNoCanary
	}
	c.number = ""
	return nil
}

func TestCanary_IsAnnouncedByTheOwnTokenOnly(t *testing.T) {
	const path = "/v23.0/" + numberID + "/canary"
	named := access.New(&tokenMemory{}, time.Now)
	admin, _, err := named.Create(t.Context(), "everything", access.Scopes(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	is := &canaries{}
	o := options(t, &service{})
	o.Canaries, o.Tokens = is, named
	api := cloudapi.New(o)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		r := httptest.NewRequest(method, path, strings.NewReader(`{"number":"+999123456789012"}`))
		r.Header.Set("Authorization", "Bearer "+admin)
		answer := httptest.NewRecorder()
		if serve(api, answer, r); answer.Code != http.StatusForbidden || is.number != "" {
			t.Errorf("%s by a named token with every scope: %d %s", method, answer.Code, answer.Body)
		}
	}
	for _, step := range []struct {
		method, body string
		code         int
		says         string
	}{
		{http.MethodGet, "", http.StatusBadRequest, `"error_subcode":33`},
		{http.MethodDelete, "", http.StatusBadRequest, `"error_subcode":33`},
		{http.MethodPost, `{"number":"+4930111111"}`, http.StatusBadRequest, "Param number must begin with +999"},
		{http.MethodPost, `{"number":"nobody"}`, http.StatusBadRequest, "must be a phone number"},
		{http.MethodPost, `{"number":"+999123456789012"}`, http.StatusOK, `{"user_id":"DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5","until":1800000000,"kept_back":2}`},
		{http.MethodPost, `{"number":"+999123456789013"}`, http.StatusBadRequest, "Another canary is announced"},
		{http.MethodGet, "", http.StatusOK, `"kept_back":2`},
		{http.MethodPut, "", http.StatusBadRequest, `"error_subcode":33`},
		{http.MethodDelete, "", http.StatusOK, `{"success":true}`},
	} {
		if answer := call(api, step.method, path, step.body); answer.Code != step.code || !strings.Contains(answer.Body.String(), step.says) {
			t.Errorf("%s %s: %d %s", step.method, step.body, answer.Code, answer.Body)
		}
	}
}
