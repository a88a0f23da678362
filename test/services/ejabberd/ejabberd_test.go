package ejabberd_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/services/ejabberd"
)

func TestServer_StartsRestartsAndStopsAndStoresAccountsHashed(t *testing.T) {
	s := ejabberd.StartT(t, ejabberd.Options{Domains: []string{"eu.relay.test", "na.relay.test"}})
	const account = "+15550001111"
	if err := s.AddAccount(t.Context(), account, "canary-password"); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAccount(t.Context(), account, "canary-password-2"); err != nil {
		t.Fatalf("setting a password: %v", err)
	}
	first := s.PID()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatalf("restarting: %v", err)
	}
	if s.PID() == first || s.PID() == 0 {
		t.Errorf("after a restart the process is %d, was %d", s.PID(), first)
	}
	wantAccount(t, s, account, true)
	wantHashed(t, s.Data)
	if err := s.RemoveAccount(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	wantAccount(t, s, account, false)
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx); err == nil {
		t.Error("a stopped server answers")
	}
}

// wantHashed wants no file to hold the password.
func wantHashed(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("canary-password")) {
			t.Errorf("%s holds the password in clear", filepath.Base(path))
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files in the data directory, error %v", files, err)
	}
}

func wantAccount(t *testing.T, s *ejabberd.Server, account string, want bool) {
	t.Helper()
	if has, err := s.HasAccount(t.Context(), account); err != nil || has != want {
		t.Fatalf("account known: %v, want %v, error %v", has, want, err)
	}
}
