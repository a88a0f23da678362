package slixmpp_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/interop/slixmpp"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSlixmpp_TwoClientsTalk(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Prosody and slixmpp; run make test")
	}
	server := prosody.StartT(t, prosody.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := func(user string) *slixmpp.Client {
		check(t, server.AddAccount(ctx, user, "secret"))
		c, err := slixmpp.Start(ctx, slixmpp.Config{
			JID: user + "@" + server.Domain, Password: "secret", Address: server.Addr, CAPEM: server.CAPEM, Dir: t.TempDir(), Log: t.Output(),
		})
		check(t, err)
		t.Cleanup(func() { check(t, c.Stop()) })
		return c
	}
	a, b := start("a"), start("b")
	path, content := filepath.Join(t.TempDir(), "a.txt"), []byte("a file")
	check(t, os.WriteFile(path, content, 0o600))
	id, err := a.Send(ctx, "b@"+server.Domain, "hello")
	check(t, err)
	_, err = b.Wait(ctx, func(e slixmpp.Event) bool {
		return e.Event == "text" && e.Text == "hello" && e.From == "a@"+server.Domain
	})
	check(t, err)
	for _, kind := range []string{"delivered", "read"} {
		_, err = a.Wait(ctx, func(e slixmpp.Event) bool { return e.Event == kind && e.ID == id })
		check(t, err)
	}
	_, err = b.SendFile(ctx, "a@"+server.Domain, path)
	check(t, err)
	sum := sha256.Sum256(content)
	_, err = a.Wait(ctx, func(e slixmpp.Event) bool { return e.Event == "file" && e.SHA256 == hex.EncodeToString(sum[:]) })
	check(t, err)
	check(t, b.Typing(ctx, "a@"+server.Domain, true))
	_, err = a.Wait(ctx, func(e slixmpp.Event) bool { return e.Event == "typing" && e.Composing })
	check(t, err)
}
