package dataplane_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

// makeToken makes a named access token.
func (b *business) makeToken(fields map[string]any) string {
	b.t.Helper()
	body, err := json.Marshal(fields)
	check(b.t, err)
	status, answer := b.Request(http.MethodPost, "/access_tokens", b.Token, body)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || status != http.StatusOK || made.Token == "" {
		b.t.Fatalf("making a token: %d %s", status, answer)
	}
	b.Hide(made.Token)
	return made.Token
}

// allowed says which status a token gets for reading about the number.
func (b *business) allowed(token string) int {
	status, _ := b.Request(http.MethodGet, "", token, nil)
	return status
}

// TestNamedTokens covers the life of named access tokens in a whole relay: what each may do, that they outlive
// a restart and end in time, when they are revoked, and with a store that was put back.
func TestNamedTokens(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	sender := b.makeToken(map[string]any{"name": "bot", "scopes": []string{"send"}})
	reader := b.makeToken(map[string]any{"name": "report", "scopes": []string{"read"}})
	passing := b.makeToken(map[string]any{"name": "today", "scopes": []string{"read"}, "expires_in": 24 * 60 * 60})
	text := map[string]any{"messaging_product": "whatsapp", "to": p.Number.Digits(), "type": "text", "text": map[string]string{"body": "from the bot"}}
	if status, answer := b.Call(sender, text); status != http.StatusOK {
		t.Errorf("the sender gets %d %s", status, answer)
	}
	p.Sees("from the bot")
	if status, _ := b.Call(reader, text); status != http.StatusForbidden {
		t.Errorf("the reader sends: %d", status)
	}
	if status := b.allowed(sender); status != http.StatusForbidden {
		t.Errorf("the sender reads: %d", status)
	}
	if status, _ := b.Request(http.MethodDelete, "/customers/"+p.Number.Digits(), sender, nil); status != http.StatusForbidden {
		t.Errorf("the sender erases: %d", status)
	}
	b.Stop()
	b.StartReady()
	if got := [2]int{b.allowed(reader), b.allowed(passing)}; got != [2]int{http.StatusOK, http.StatusOK} {
		t.Errorf("after a restart they get %d", got)
	}
	if status, answer := b.Request(http.MethodDelete, "/access_tokens/report", b.Token, nil); status != http.StatusOK {
		t.Errorf("revoking: %d %s", status, answer)
	}
	if status := b.allowed(reader); status != http.StatusUnauthorized {
		t.Errorf("a revoked token gets %d", status)
	}
	b.NothingLeaked()
	b.Stop()
	b.Start(later(25 * time.Hour))
	b.WaitReady()
	if got := [2]int{b.allowed(reader), b.allowed(passing)}; got != [2]int{http.StatusUnauthorized, http.StatusUnauthorized} {
		t.Errorf("a day later the revoked and the expired one get %d", got)
	}
	if status, _ := b.Call(sender, text); status != http.StatusOK {
		t.Errorf("a day later the sender gets %d", status)
	}
	b.Stop()
	check(t, os.WriteFile(filepath.Join(b.Volume(), store.RestoredMarker), nil, 0o600))
	b.Start(later(25 * time.Hour))
	b.WaitReady()
	if status, _ := b.Call(sender, text); status != http.StatusUnauthorized {
		t.Errorf("from a store that was put back the sender gets %d", status)
	}
}
