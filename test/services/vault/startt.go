package vault

import (
	"context"
	"testing"
	"time"
)

// StartT runs a server in a temporary directory until the test ends. When the test
// failed, the end of the server's log is shown. With -short the test is skipped.
func StartT(t testing.TB, o Options) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Vault, and -short asks for no servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a build from the module cache included
	defer cancel()
	s, err := Start(ctx, t.TempDir(), o)
	if err != nil {
		t.Fatalf("starting vault: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("vault's last words:\n%s", s.lastWords())
		}
		s.Stop()
	})
	return s
}
