package vault

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

func TestAgedKeyIsOlderAndOtherwiseTheSame(t *testing.T) {
	s := StartT(t, Options{})
	root, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, data map[string]any) map[string]any {
		t.Helper()
		answer, err := root.Logical().WriteWithContext(t.Context(), path, data)
		if err != nil {
			t.Fatal(err)
		}
		if answer == nil {
			return nil
		}
		return answer.Data
	}
	write("sys/mounts/transit", map[string]any{"type": "transit"})
	write("transit/keys/k", map[string]any{"auto_rotate_period": "24h"})
	first := write("transit/datakey/wrapped/k", nil)["ciphertext"]
	if _, err := AgeKey(t.Context(), root, "k", 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	write("transit/keys/k/rotate", nil)
	second := write("transit/datakey/wrapped/k", nil)["ciphertext"]
	before, err := AgeKey(t.Context(), root, "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for version, age := range map[string]time.Duration{"1": 49 * time.Hour, "2": time.Hour} {
		made := madeAt(t, root, version)
		if off := time.Since(made) - age; off < -time.Minute || off > time.Minute {
			t.Errorf("version %s was made at %v, want %v ago", version, made, age)
		}
	}
	for _, wrapped := range []any{first, second} {
		write("transit/decrypt/k", map[string]any{"ciphertext": wrapped})
	}
	known, err := KeyMaterial(before)
	if err != nil || len(known) != 2 || known[1] == known[2] {
		t.Fatalf("the backup has %d versions, %v", len(known), err)
	}
	write("transit/keys/k/config", map[string]any{"min_decryption_version": 2, "min_encryption_version": 2})
	write("transit/keys/k/trim", map[string]any{"min_available_version": 2})
	after, err := BackUpKey(t.Context(), root, "k")
	if err != nil {
		t.Fatal(err)
	}
	left, err := KeyMaterial(after)
	if err != nil || len(left) != 1 || left[2] != known[2] {
		t.Errorf("after the first version is trimmed the backup has versions %v, %v", len(left), err)
	}
	if _, err := root.Logical().WriteWithContext(t.Context(), "transit/decrypt/k", map[string]any{"ciphertext": first}); err == nil {
		t.Error("a trimmed version still opens")
	}
}

// madeAt is when Vault says that a version of the key k was made.
func madeAt(t *testing.T, root *api.Client, version string) time.Time {
	t.Helper()
	answer, err := root.Logical().ReadWithContext(t.Context(), "transit/keys/k")
	if err != nil {
		t.Fatal(err)
	}
	versions, _ := answer.Data["keys"].(map[string]any)
	seconds, ok := versions[version].(interface{ Int64() (int64, error) })
	if !ok {
		t.Fatalf("version %s is %v", version, versions[version])
	}
	at, err := seconds.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(at, 0)
}
