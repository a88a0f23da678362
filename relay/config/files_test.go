package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// isRead checks that a file is read as it was written, also with a field of a later release, and that a missing one is said.
func isRead[T any](t *testing.T, written any, want T, load func(path string) (T, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	data := string(encoded(t, written))
	for _, text := range []string{data, strings.Replace(data, "{", `{"later":1,`, 1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := load(path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%.20s is read as %v, %s", text, err, diff)
		}
	}
	if _, err := load(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
