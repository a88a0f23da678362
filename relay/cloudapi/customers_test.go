package cloudapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// registry keeps one person.
type registry struct {
	erased []phone.Number
	asked  []string // cursors
	err    error
}

func (r *registry) Erase(_ context.Context, n phone.Number) error {
	r.erased = append(r.erased, n)
	return r.err
}

func (r *registry) Export(_ context.Context, _ phone.Number, after string, limit int) (*cloudapi.Export, error) {
	r.asked = append(r.asked, after)
	return &cloudapi.Export{
		UserID: "US.13491208655302741918", Name: "Ada", LastInbound: time.Unix(1749416383, 0), Blocked: true, OptedOut: time.Unix(1749416400, 0), More: after == "",
		Devices: []cloudapi.ExportedDevice{{ID: 7, IdentityKey: []byte{5, 1}, Active: true}},
		Messages: []cloudapi.ExportedMessage{{
			ID: wamid, Direction: "inbound", Type: "text", Status: "received", Timestamp: "1749416383",
			Content: json.RawMessage(`{"text":"hello"}`),
		}, {
			ID: wamid, Direction: "outbound", Type: "text", Status: "accepted", Detail: "waits for the contact request", Timestamp: "1749416383",
			Opaque: "order 7", Content: json.RawMessage(`{"text":"hello to you"}`),
		}, {
			ID: wamid, Direction: "inbound", Type: "image", Status: "received", Timestamp: "1749416384", Content: json.RawMessage(`{}`),
			File: &cloudapi.ExportedFile{ID: fileID, Kind: "image", MIME: "image/png", SHA256: strings.Repeat("0f", 32), Size: 7, Filename: "a.png"},
		}},
	}, r.err
}

func (r *registry) ContactRequests(_ context.Context, after int64, limit int) ([]cloudapi.ContactRequest, error) {
	n, err := phone.Parse("+16505551234")
	if err != nil || after > 0 {
		return nil, err
	}
	open := []cloudapi.ContactRequest{
		{Number: n, UserID: "US.13491208655302741918", Since: time.Unix(1749416383, 0), Waiting: 2, Cursor: 11},
		{Number: n, Since: time.Unix(1749416384, 0), Declined: true, Cursor: 12},
	}
	return open[:min(limit, 2)], r.err
}

func TestContactRequestsAreListedInPages(t *testing.T) {
	h := withRegistry(t, &registry{})
	const list = "/v23.0/" + numberID + "/customers"
	golden(t, "contact-requests", call(h, http.MethodGet, list, ""))
	golden(t, "contact-requests-first-page", call(h, http.MethodGet, list+"?limit=1", ""))
	golden(t, "contact-requests-last-page", call(h, http.MethodGet, list+"?after=12", ""))
	for _, bad := range []string{"?after=x", "?after=-1", "?limit=501"} {
		if w := call(h, http.MethodGet, list+bad, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s is answered with %d", bad, w.Code)
		}
	}
}

const person = "/v23.0/" + numberID + "/customers/16505551234"

func withRegistry(t *testing.T, r *registry) http.Handler {
	o := options(t, &service{})
	o.Customers = r
	return cloudapi.New(o)
}

func TestPersonIsExportedInPages(t *testing.T) {
	r := &registry{}
	h := withRegistry(t, r)
	golden(t, "person", call(h, http.MethodGet, person, ""))
	golden(t, "person-last-page", call(h, http.MethodGet, person+"?after="+wamid+"&limit=500", ""))
	if len(r.asked) != 2 || r.asked[1] != wamid {
		t.Errorf("asked for %q", r.asked)
	}
}

func TestPersonIsErasedWhateverFormTheNumberHas(t *testing.T) {
	r := &registry{}
	h := withRegistry(t, r)
	for _, path := range []string{person, strings.Replace(person, "16505", "+16505", 1)} {
		if w := call(h, http.MethodDelete, path, ""); w.Code != http.StatusOK || w.Body.String() != `{"success":true}` {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	if want := mustNumber(t, "+16505551234"); len(r.erased) != 2 || r.erased[0] != want || r.erased[1] != want {
		t.Errorf("%d were erased", len(r.erased))
	}
}

func TestFailuresAboutAPersonAreTypedAndNameNobody(t *testing.T) {
	cases := map[string]struct {
		method, path string
		err          error
		status, code int
	}{
		"no number":          {http.MethodDelete, strings.Replace(person, "16505551234", "nobody", 1), nil, 400, 131009},
		"unknown":            {http.MethodGet, person, cloudapi.ErrUnknownCustomer, 400, 100},
		"carrier away":       {http.MethodDelete, person, cloudapi.ErrUnavailable, 500, 131016},
		"store broken":       {http.MethodGet, person, errors.New("16505551234 is broken"), 500, 131000},
		"other method":       {http.MethodPost, person, nil, 400, 100},
		"limit":              {http.MethodGet, person + "?limit=501", nil, 400, 100},
		"limit is no number": {http.MethodGet, person + "?limit=all", nil, 400, 100},
		"cursor":             {http.MethodGet, person + "?after=" + strings.Repeat("x", 200), nil, 400, 100},
		"deeper":             {http.MethodGet, person + "/messages", nil, 400, 100},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := call(withRegistry(t, &registry{err: tc.err}), tc.method, tc.path, "")
			var body struct{ Error struct{ Code int } }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != tc.status || body.Error.Code != tc.code {
				t.Errorf("answered %d %s, want %d and code %d", w.Code, w.Body, tc.status, tc.code)
			}
			if strings.Contains(w.Body.String(), "16505551234") {
				t.Errorf("the answer names the person: %s", w.Body)
			}
		})
	}
}

// FuzzPersonPath holds that whatever path and query arrive, the answer is one of the
// API's, and that nobody is erased but whose number the path names.
func FuzzPersonPath(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("DELETE", "16505551234", "")
	f.Add("GET", "+1 (650) 555-1234", "limit=1&after=wamid.x")
	f.Add("DELETE", "16505551234/../491701234567", "")
	f.Add("GET", "%2b16505551234", "limit=-1")
	f.Fuzz(func(t *testing.T, method, number, query string) {
		r := &registry{}
		o := options(t, &service{})
		o.Customers = r
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Method, request.URL.Path, request.URL.RawQuery = method, "/v23.0/"+numberID+"/customers/"+number, query
		request.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		serve(cloudapi.New(o), w, request)
		if !json.Valid(w.Body.Bytes()) || w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		for _, n := range r.erased {
			if want, err := phone.ParseLoose(strings.Trim(number, "/")); err != nil || n != want || method != http.MethodDelete {
				t.Errorf("somebody else was erased")
			}
		}
	})
}
