package prosody

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
		t.Skip("needs Prosody, and -short asks for no servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // an installation included
	defer cancel()
	s, err := Start(ctx, t.TempDir(), o)
	if err != nil {
		t.Fatalf("starting prosody: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("prosody's last words:\n%s", s.LastWords())
		}
		s.Kill() // its directory goes, too; an orderly end takes a second
	})
	return s
}
