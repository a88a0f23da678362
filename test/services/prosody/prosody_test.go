package prosody_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/services/prosody"
)

func TestServerStartsRestartsAndStops(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Domains: []string{"eu.relay.test", "na.relay.test"}})
	first := s.PID()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatalf("restarting: %v", err)
	}
	if s.PID() == first || s.PID() == 0 {
		t.Errorf("after a restart the process is %d, was %d", s.PID(), first)
	}
	s.Stop()
	if err := s.Wait(timeout(t)); err == nil {
		t.Error("a stopped server answers")
	}
}

func TestPreparingAgainKeepsAuthorityAndData(t *testing.T) {
	dir := t.TempDir()
	first, err := prosody.Prepare(dir, prosody.Options{Address: "127.0.0.1:5999"})
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(first.Data, "kept")
	if err := os.WriteFile(kept, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := prosody.Prepare(dir, prosody.Options{Address: "127.0.0.1:5999"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.CAPEM, second.CAPEM) || second.Addr != "127.0.0.1:5999" {
		t.Error("preparing again changed the authority or the address")
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("preparing again lost data: %v", err)
	}
}

func TestAccountIsStoredHashed(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{})
	if err := s.AddAccount(t.Context(), "+15550001111", "canary-password"); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(s.Data, func(path string, d os.DirEntry, err error) error {
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
	if err := s.RemoveAccount(t.Context(), "+15550001111"); err != nil {
		t.Fatal(err)
	}
}

// timeout is a context that ends soon.
func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
