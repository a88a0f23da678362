package vault

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

func TestServerKeepsWhatItHoldsOverSealAndRestart(t *testing.T) {
	s := StartT(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	root, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sys().MountWithContext(ctx, "kv", &api.MountInput{Type: "kv"}); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Logical().WriteWithContext(ctx, "kv/a", map[string]any{"b": "c"}); err != nil {
		t.Fatal(err)
	}
	readable := func(when string) {
		t.Helper()
		got, err := root.Logical().ReadWithContext(ctx, "kv/a")
		if err != nil || got == nil || got.Data["b"] != "c" {
			t.Fatalf("%s the secret cannot be read: %v", when, err)
		}
	}
	readable("at first")
	if err := s.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = root.Logical().ReadWithContext(ctx, "kv/a")
	if answer, ok := errors.AsType[*api.ResponseError](err); !ok || answer.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("sealed, it answers %v, want 503", err)
	}
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	readable("unsealed again")
	s.Stop()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	readable("restarted")
}

func TestServerHasTheKubernetesAuthPlugin(t *testing.T) {
	s := StartT(t, Options{})
	root, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sys().EnableAuthWithOptionsWithContext(t.Context(), "kubernetes", &api.EnableAuthOptions{Type: "kubernetes"}); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareOverAnExistingDirectoryKeepsItsAuthority(t *testing.T) {
	dir := t.TempDir()
	first, err := Prepare(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Prepare(t.Context(), dir, Options{Address: first.Addr})
	if err != nil {
		t.Fatal(err)
	}
	if string(first.CAPEM) != string(second.CAPEM) {
		t.Error("the authority was made again")
	}
}
