package profanity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/interop/profanity"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

func TestClientGoesOnlineAndStops(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	server := prosody.StartT(t, prosody.Options{})
	check(t, server.AddAccount(t.Context(), "+491701234567", "a-secret-password"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := profanity.Start(ctx, profanity.Config{JID: "+491701234567@" + server.Domain, Password: "a-secret-password", Address: server.Addr})
	check(t, err)
	if screen := c.Dump(); strings.Contains(screen, "a-secret-password") || !strings.Contains(screen, "logged in") {
		t.Errorf("unexpected screen:\n%s", screen)
	}
	check(t, c.Stop())
}

func TestWrongPasswordIsToldWithTheScreen(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	server := prosody.StartT(t, prosody.Options{})
	check(t, server.AddAccount(t.Context(), "+491701234567", "the right one"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := profanity.Start(ctx, profanity.Config{JID: "+491701234567@" + server.Domain, Password: "the-wrong-one", Address: server.Addr})
	if !errors.Is(err, profanity.ErrNotShown) {
		t.Fatalf("error %v, want ErrNotShown", err)
	}
	if strings.Contains(err.Error(), "the-wrong-one") {
		t.Error("the error holds the password")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
