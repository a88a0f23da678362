package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/access"
)

// noStorage forgets the tokens with the process.
type noStorage struct{}

func (noStorage) Load(context.Context) ([]byte, error)     { return nil, nil }
func (noStorage) Save(context.Context, []byte, bool) error { return nil }

func TestToken_IsMadeListedAndRevoked(t *testing.T) {
	e, err := serveEndpoint(t, &people{named: access.New(noStorage{}, time.Now)}).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	made, err := e.createToken(t.Context(), "chatwoot", []string{"read", "send"}, 3600)
	check(t, err)
	if until := time.Until(time.Unix(made.Expires, 0)); until > time.Hour || until < 50*time.Minute || scopeList(made.Scopes) != "send,read" {
		t.Errorf("made was %+v", made)
	}
	if _, err := e.createToken(t.Context(), "chatwoot", []string{"read"}, 0); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("made twice: %v", err)
	}
	_, err = e.createToken(t.Context(), "report", []string{"read"}, 0)
	check(t, err)
	holder := *e
	holder.token = made.Token
	if _, err := holder.tokens(t.Context()); err == nil || !strings.Contains(err.Error(), "131005") {
		t.Errorf("a named token manages tokens: %v", err)
	}
	tokens, err := e.tokens(t.Context())
	check(t, err)
	var out strings.Builder
	check(t, printTokens(&out, tokens, time.Now().Add(48*time.Hour)))
	today := time.Now().UTC().Format(time.DateOnly)
	for _, want := range []string{"chatwoot   send,read", "(expired)   " + today, "report     read        never"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("listed without %q:\n%s", want, out.String())
		}
	}
	check(t, e.revokeToken(t.Context(), "chatwoot"))
	if err := e.revokeToken(t.Context(), "chatwoot"); err == nil || !strings.Contains(err.Error(), "no access token named") {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := holder.tokens(t.Context()); exit.Code(err) != exit.Refused {
		t.Errorf("a revoked token is accepted: %v", err)
	}
}

func TestToken_OfARelayThatHasNoneSaysSo(t *testing.T) {
	e, err := serveEndpoint(t, &people{}).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	_, create := e.createToken(t.Context(), "a", []string{"read"}, 0)
	_, list := e.tokens(t.Context())
	for _, err := range []error{create, list, e.revokeToken(t.Context(), "a")} {
		if err == nil || !strings.Contains(err.Error(), "upgrade Relaykeep") {
			t.Errorf("error %v", err)
		}
	}
}

func TestToken_ListShowsNothingThatControlsATerminal(t *testing.T) {
	var out strings.Builder
	check(t, printTokens(&out, []namedToken{{Name: "a\x1b[2J", Scopes: []access.Scope{"\x1b[2J", access.Read}, LastUsed: "\x1b[2J"}}, time.Now()))
	if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "read") {
		t.Errorf("listed:\n%q", out.String())
	}
}

func TestLifetime(t *testing.T) {
	for text, want := range map[string]int64{"90d": 7776000, "12h": 43200, "never": 0, "1d": 86400} {
		if got, err := lifetime(text); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "90", "0d", "-1d", "d", "1.5d", "90m", "70000d", " 1d"} {
		if _, err := lifetime(text); err == nil {
			t.Errorf("%q is a lifetime", text)
		}
	}
}

func TestToken_CommandsWantAllThatTheyNeed(t *testing.T) {
	for _, args := range [][]string{
		{"token", "create", "acme"},
		{"token", "create", "acme", "--for", "a"},
		{"token", "create", "acme", "--for", "a", "--scope", "read", "--expires", "soon"},
		{"token", "create", "--for", "a", "--scope", "read"},
		{"token", "revoke", "acme"},
		{"token", "revoke", "acme", "--for", "A"},
		{"token", "list"},
		{"token", "other"},
	} {
		if _, _, err := run(t, args...); exit.Code(err) != exit.Usage {
			t.Errorf("%v: exit %d, %v", args, exit.Code(err), err)
		}
	}
}
