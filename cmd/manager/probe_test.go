package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestProbe_AsksUntilItIsReady(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || asked.Add(1) < 3 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	var out bytes.Buffer
	if err := probe(t.Context(), []string{server.URL + "/readyz"}, time.Millisecond, &out); err != nil || !strings.Contains(out.String(), "answers 200") {
		t.Errorf("it ends with %v and prints %q", err, out.String())
	}
	if asked.Load() != 3 {
		t.Errorf("it asked %d times", asked.Load())
	}
}

func TestProbe_SaysWhyItIsNotReady(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "[-]ping failed", http.StatusInternalServerError)
	}))
	defer server.Close()
	if err := ask(ctx, server.URL); err == nil || !strings.Contains(err.Error(), "[-]ping failed") {
		t.Errorf("it says %v", err)
	}
	cancel()
	if err := probe(ctx, []string{server.URL}, time.Hour, &bytes.Buffer{}); err == nil {
		t.Error("it succeeds though nobody waits any more")
	}
}

func TestProbe_WrongUsageIsRefused(t *testing.T) {
	for _, args := range [][]string{{}, {"readyz"}, {"https://a/b", "c"}, {"file:///etc/passwd"}, {"http://"}} {
		if err := probe(t.Context(), args, time.Hour, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "manager probe http://") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestManager_ProbesWhenItIsAskedTo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"probe", server.URL}, &out); err != nil || out.Len() == 0 {
		t.Errorf("it ends with %v and prints %q", err, out.String())
	}
}
