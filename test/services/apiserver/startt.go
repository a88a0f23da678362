package apiserver

import (
	"context"
	"testing"
	"time"
)

// StartT runs a server until the test ends. With -short the test is skipped.
func StartT(t testing.TB, o Options) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server, and -short asks for no servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a build from the module cache included
	defer cancel()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	return s
}
