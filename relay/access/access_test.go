package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/access"
)

// shelf is a storage that can refuse.
type shelf struct {
	data   []byte
	writes int
	err    error
}

func (s *shelf) Load(context.Context) ([]byte, error) { return s.data, s.err }

func (s *shelf) Save(_ context.Context, list []byte, _ bool) error {
	if s.err == nil {
		s.data, s.writes = list, s.writes+1
	}
	return s.err
}

// opened returns tokens whose time is that of now.
func opened(t *testing.T, s *shelf, now *time.Time) *access.Tokens {
	t.Helper()
	tokens := access.New(s, func() time.Time { return *now })
	if err := tokens.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestToken_IsFoundByItsSecretAlsoAfterARestart(t *testing.T) {
	s, now := &shelf{}, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tokens := opened(t, s, &now)
	secret, made, err := tokens.Create(t.Context(), "chatwoot", []access.Scope{access.Read, access.Send, access.Read}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := access.Token{Name: "chatwoot", Scopes: []access.Scope{access.Send, access.Read}, Created: now, Expires: now.Add(time.Hour)}
	if d := cmp.Diff(want, made); d != "" {
		t.Error(d)
	}
	if bytes.Contains(s.data, []byte(secret)) || !strings.HasPrefix(secret, "rkt_") || len(secret) != 47 {
		t.Error("the token has another form, or is stored")
	}
	for _, tokens := range []*access.Tokens{tokens, opened(t, s, &now)} {
		got, ok := tokens.Find(secret)
		if d := cmp.Diff(want, got); !ok || d != "" {
			t.Errorf("found %v: %s", ok, d)
		}
		if !got.Allows(access.Send) || got.Allows(access.Admin) || got.Expired(now) || !got.Expired(now.Add(time.Hour)) {
			t.Errorf("it allows or lasts something else: %+v", got)
		}
		for _, other := range []string{"", secret + "x", secret[:46], strings.ToUpper(secret)} {
			if _, ok := tokens.Find(other); ok {
				t.Error("another secret is taken")
			}
		}
	}
}

// TestToken_MayBeOfSeveralRelays adds one token to the lists of two.
func TestToken_MayBeOfSeveralRelays(t *testing.T) {
	now := time.Now()
	one, two := opened(t, &shelf{}, &now), opened(t, &shelf{}, &now)
	secret, hash := access.NewSecret()
	for _, tokens := range []*access.Tokens{one, two} {
		if _, err := tokens.Add(t.Context(), hash, "inbox", []access.Scope{access.Send}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if found, ok := tokens.Find(secret); !ok || found.Name != "inbox" {
			t.Errorf("found %v: %+v", ok, found)
		}
	}
	for _, bad := range [][]byte{nil, hash[:31], hash} {
		if _, err := one.Add(t.Context(), bad, "other", []access.Scope{access.Send}, time.Time{}); !errors.Is(err, access.ErrHash) {
			t.Errorf("%d bytes of a hash: %v", len(bad), err)
		}
	}
	if err := one.Revoke(t.Context(), "inbox"); err != nil {
		t.Fatal(err)
	}
	if _, ok := one.Find(secret); ok {
		t.Error("it is not revoked")
	}
	if _, ok := two.Find(secret); !ok {
		t.Error("it is revoked where nobody asked for that")
	}
}

func TestToken_ThatIsRevokedIsGone(t *testing.T) {
	s, now := &shelf{}, time.Now()
	tokens := opened(t, s, &now)
	var secrets []string
	for _, name := range []string{"b", "a"} {
		secret, _, err := tokens.Create(t.Context(), name, access.Scopes(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	s.err = errors.New("the volume is full")
	if err := tokens.Revoke(t.Context(), "a"); !errors.Is(err, s.err) {
		t.Errorf("revoked without a trace: %v", err)
	}
	if err := tokens.Revoke(t.Context(), "another"); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("revoking one that never was: %v", err)
	}
	if _, ok := tokens.Find(secrets[1]); ok {
		t.Error("a revoked token is accepted until the volume has room")
	}
	s.err = nil
	if err := tokens.Revoke(t.Context(), "a"); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := tokens.Revoke(t.Context(), "a"); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("a third time: %v", err)
	}
	tokens = opened(t, s, &now)
	if got := tokens.List(); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("there are %+v", got)
	}
	if err := tokens.Clear(t.Context()); err != nil || len(opened(t, s, &now).List()) != 0 {
		t.Errorf("cleared: %v", err)
	}
}

func TestToken_ThatCannotBeMadeChangesNothing(t *testing.T) {
	s, now := &shelf{}, time.Now()
	tokens := opened(t, s, &now)
	full := errors.New("the volume is full")
	if _, _, err := tokens.Create(t.Context(), "taken", access.Scopes(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	before := s.data
	for what, tt := range map[string]struct {
		name    string
		scopes  []access.Scope
		expires time.Time
		storage error
		want    error
	}{
		"no name":          {"", access.Scopes(), time.Time{}, nil, access.ErrName},
		"a capital letter": {"Taken", access.Scopes(), time.Time{}, nil, access.ErrName},
		"a long name":      {strings.Repeat("a", 64), access.Scopes(), time.Time{}, nil, access.ErrName},
		"another line":     {"a\n", access.Scopes(), time.Time{}, nil, access.ErrName},
		"a taken name":     {"taken", access.Scopes(), time.Time{}, nil, access.ErrExists},
		"no scope":         {"a", nil, time.Time{}, nil, access.ErrScope},
		"another scope":    {"a", []access.Scope{access.Send, "all"}, time.Time{}, nil, access.ErrScope},
		"the past":         {"a", access.Scopes(), now.Add(-time.Second), nil, access.ErrExpires},
		"a full volume":    {"a", access.Scopes(), time.Time{}, full, full},
	} {
		s.err = tt.storage
		secret, _, err := tokens.Create(t.Context(), tt.name, tt.scopes, tt.expires)
		if !errors.Is(err, tt.want) || secret != "" || len(tokens.List()) != 1 || !bytes.Equal(s.data, before) {
			t.Errorf("%s: %v, want %v", what, err, tt.want)
		}
	}
	s.err = nil
	for i := range access.MaxTokens - 1 {
		if _, _, err := tokens.Create(t.Context(), fmt.Sprintf("n%d", i), access.Scopes(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := tokens.Create(t.Context(), "one-more", access.Scopes(), time.Time{}); !errors.Is(err, access.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	if len(s.data) > 24<<10 {
		t.Errorf("the list takes %d bytes", len(s.data))
	}
}

func TestToken_ItsUseIsNotedOnceADay(t *testing.T) {
	s, now := &shelf{}, time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	tokens := opened(t, s, &now)
	secret, _, err := tokens.Create(t.Context(), "a", access.Scopes(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after  time.Duration
		writes int
		day    int
	}{{0, 2, 1}, {30 * time.Minute, 2, 1}, {time.Hour, 3, 2}} {
		now = now.Add(step.after)
		for range 2 {
			used, _ := tokens.Find(secret)
			if err := tokens.Use(t.Context(), used); err != nil {
				t.Fatal(err)
			}
		}
		if got := tokens.List()[0].Used; got != time.Date(2026, 3, step.day, 0, 0, 0, 0, time.UTC) || s.writes != step.writes {
			t.Errorf("after %v it was used at %v, %d writes", step.after, got, s.writes)
		}
	}
	if err := tokens.Revoke(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	if err := tokens.Use(t.Context(), access.Token{Name: "a"}); err != nil || len(tokens.List()) != 0 {
		t.Errorf("using a revoked one: %v", err)
	}
}

func TestTokens_ThatCannotBeReadAreNotAccepted(t *testing.T) {
	now := time.Now()
	for what, s := range map[string]*shelf{"damaged": {data: []byte("{")}, "unreadable": {err: errors.New("no key")}} {
		tokens := access.New(s, func() time.Time { return now })
		if err := tokens.Load(t.Context()); err == nil || len(tokens.List()) != 0 {
			t.Errorf("%s: %v, %d tokens", what, err, len(tokens.List()))
		}
	}
}
