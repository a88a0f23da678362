package customer_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestStateIsForItsOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state")
	s, err := customer.OpenState(dir, number(t, "+491701111111"))
	check(t, err)
	check(t, s.SetPassword("other"))
	check(t, s.Close())
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "customer.json"): 0o600} {
		info, err := os.Stat(path)
		check(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
		}
	}
	names, err := os.ReadDir(dir)
	check(t, err)
	if len(names) != 2 {
		t.Errorf("%d files in the directory, want state and lock", len(names))
	}
}

func TestNewStateHasRandomAccountAndKeepsIt(t *testing.T) {
	dir, n := t.TempDir(), number(t, "+491701111111")
	s, err := customer.OpenState(dir, n)
	check(t, err)
	own, password := s.Account()
	device, fingerprint := s.Device()
	check(t, s.Close())
	if own != n || len(password) < 20 || device < 1 || len(strings.Fields(fingerprint)) != 8 {
		t.Errorf("a new account has a password of %d characters, device %d, fingerprint %q", len(password), device, fingerprint)
	}
	s, err = customer.OpenState(dir, n)
	check(t, err)
	defer s.Close()
	if _, again := s.Account(); again != password {
		t.Error("the password changed")
	}
	if d, f := s.Device(); d != device || f != fingerprint {
		t.Error("the device changed")
	}
}

func TestStateIsRefused(t *testing.T) {
	n := number(t, "+491701111111")
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		number  phone.Number
		want    error
	}{
		{"no number", func(*testing.T, string) {}, phone.Number{}, phone.ErrInvalid},
		{"in use", func(t *testing.T, dir string) {
			s, err := customer.OpenState(dir, n)
			check(t, err)
			t.Cleanup(func() { check(t, s.Close()) })
		}, n, customer.ErrInUse},
		{"another number's", func(t *testing.T, dir string) {
			s, err := customer.OpenState(dir, n)
			check(t, err)
			check(t, s.Close())
		}, number(t, "+491702222222"), customer.ErrForeign},
		{"damaged", writes(`{"version":1,"password":"hunter2`), n, customer.ErrState},
		{"of a later version", writes(`{"version":2}`), n, customer.ErrState},
		{"without keys", writes(`{"version":1,"number":"+491701111111"}`), n, customer.ErrState},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.prepare(t, dir)
			_, err := customer.OpenState(dir, tt.number)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error quotes the state")
			}
		})
	}
}

func writes(content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		check(t, os.WriteFile(filepath.Join(dir, "customer.json"), []byte(content), 0o600))
	}
}

// forgetSessions takes the sessions out of a customer's state, as a restored
// backup does.
func forgetSessions(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "customer.json")
	raw, err := os.ReadFile(path)
	check(t, err)
	var state map[string]any
	check(t, json.Unmarshal(raw, &state))
	state["records"] = map[string]any{}
	raw, err = json.Marshal(state)
	check(t, err)
	check(t, os.WriteFile(path, raw, 0o600))
}
