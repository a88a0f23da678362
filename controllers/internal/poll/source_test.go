package poll

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/status"
}

func TestStatusIsFetched(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(contract.Status{Version: contract.StatusVersion, PhoneNumberID: "1"})
	})
	s, err := NewHTTP().fetch(t.Context(), url)
	if err != nil || s.PhoneNumberID != "1" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestStatus_InvalidIsRefused(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"version":1}`)) })
	handlers := map[string]http.HandlerFunc{
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"version":1,"quality":"` + strings.Repeat("a", contract.MaxStatusBytes) + `"}`))
		},
		"too much before": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("A", strings.Repeat("a", 2*maxHeaderBytes))
		},
		"another version":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"version":2}`)) },
		"no JSON":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`hello`)) },
		"an error":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"a way elsewhere":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) },
		"a broken promise": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "100") },
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			if s, err := NewHTTP().fetch(t.Context(), serve(t, h)); err == nil {
				t.Errorf("took %+v", s)
			}
		})
	}
}

func TestErrorsHoldNothingOfTheAnswer(t *testing.T) {
	if _, err := Parse([]byte(`{"version":"+41441234567"}`)); err == nil || strings.Contains(err.Error(), "+41") {
		t.Errorf("the error is %v", err)
	}
}

func FuzzParseTakesOnlyWhatFits(f *testing.F) {
	f.Add([]byte(`{"version":1,"conditions":[{"type":"KeysReady","status":"True"}]}`))
	f.Add([]byte(`{"version":1,"initializedTime":"2026-13-01T00:00:00Z"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Parse(body)
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v and %v", s, err)
		}
		if s != nil && s.Version != contract.StatusVersion {
			t.Errorf("took version %d", s.Version)
		}
	})
}
