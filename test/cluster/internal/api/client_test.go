package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serve answers requests by the handler, as an API server would be reached.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
}

func TestGetReadsAnObject(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/nodes/a" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		_, _ = io.WriteString(w, `{"metadata":{"name":"a"}}`)
	})
	var got struct{ Metadata struct{ Name string } }
	if err := c.Get(t.Context(), "/api/v1/nodes/a", &got); err != nil || got.Metadata.Name != "a" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestApplySendsTheObjectAsOurs(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "kind: A\n" {
			t.Errorf("sent %q, %v", body, err)
		}
		q := r.URL.Query()
		if r.Method != http.MethodPatch || q.Get("fieldManager") != "relaykeep-cluster" || q.Get("force") != "true" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		if got := r.Header.Get("Content-Type"); got != "application/apply-patch+yaml" {
			t.Errorf("sent as %q", got)
		}
		w.WriteHeader(http.StatusCreated)
	})
	if err := c.Apply(t.Context(), "/api/v1/namespaces/a", []byte("kind: A\n")); err != nil {
		t.Error(err)
	}
}

func TestMergeSendsAMergePatch(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		var body map[string]int
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body["a"] != 1 {
			t.Errorf("sent %v, %v", body, err)
		}
		if got := r.Header.Get("Content-Type"); got != "application/merge-patch+json" {
			t.Errorf("sent as %q", got)
		}
	})
	if err := c.Merge(t.Context(), "/api/v1/nodes/a", map[string]int{"a": 1}); err != nil {
		t.Error(err)
	}
}

func TestRefusal_SaysWhy(t *testing.T) {
	for _, c := range []struct {
		code          int
		body, message string
	}{
		{404, `{"kind":"Status","message":"nodes \"a\" not found"}`, `nodes "a" not found`},
		{500, "etcd failed", "etcd failed"},
		{429, strings.Repeat("x", 1000), strings.Repeat("x", 300)},
		{503, "", ""},
	} {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		})
		err := client.Get(t.Context(), "/api/v1/nodes/a", &struct{}{})
		s, ok := errors.AsType[*StatusError](err)
		if !ok || s.Code != c.code || s.Message != c.message {
			t.Errorf("%d %q: got %v", c.code, c.body, err)
		}
		if IsNotFound(err) != (c.code == 404) {
			t.Errorf("%d is taken for not found: %v", c.code, IsNotFound(err))
		}
	}
}

func TestReadyAsksTheServer(t *testing.T) {
	ready := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL)
		}
		if !ready {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	if err := c.Ready(t.Context()); err == nil {
		t.Error("ready before it is")
	}
	ready = true
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnswer_NotAnObjectIsAnError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if err := c.Get(t.Context(), "/api/v1/nodes/a", &struct{}{}); err == nil || !strings.Contains(err.Error(), "/api/v1/nodes/a") {
		t.Errorf("got %v", err)
	}
}

func TestRequest_EndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if err := c.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
