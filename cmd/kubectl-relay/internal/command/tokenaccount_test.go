package command

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/access"
)

// volume keeps tokens until it is full, which it is after some writes.
type volume struct {
	mu   sync.Mutex // guards the following field
	room int        // writes that there is room for
}

func (v *volume) Load(context.Context) ([]byte, error) { return nil, nil }

func (v *volume) Save(context.Context, []byte, bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.room == 0 {
		return errors.New("no room")
	}
	v.room--
	return nil
}

// account is a business account whose relays' volumes have room for so many writes each.
func account(t *testing.T, room ...int) (members []member, kept []*access.Tokens) {
	t.Helper()
	for i, writes := range room {
		tokens := access.New(&volume{room: writes}, time.Now)
		e, err := serveEndpoint(t, &people{named: tokens}).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
		check(t, err)
		members, kept = append(members, member{string(rune('a' + i)), e}), append(kept, tokens)
	}
	return members, kept
}

func TestTokenOfAnAccount_IsMadeListedAndRevoked(t *testing.T) {
	members, kept := account(t, 99, 99, 99)
	made, err := createTokens(t.Context(), members, "inbox", []string{"read", "send"}, 3600)
	check(t, err)
	if strings.Join(made.Relays, "") != "abc" || scopeList(made.Scopes) != "send,read" {
		t.Errorf("made was %+v", made)
	}
	for i, tokens := range kept {
		if found, ok := tokens.Find(made.Token); !ok || found.Name != "inbox" {
			t.Errorf("relay %d does not accept it", i)
		}
	}
	_, err = members[1].createToken(t.Context(), "report", []string{"read"}, 0)
	check(t, err)
	list, err := listTokens(t.Context(), members)
	check(t, err)
	var out strings.Builder
	check(t, printAccountTokens(&out, list, time.Now()))
	for _, want := range []string{"RELAYS", "never       a,b,c", "report   read        never        never       b"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("listed without %q:\n%s", want, out.String())
		}
	}
	if _, err := createTokens(t.Context(), members, "report", []string{"read"}, 0); err == nil || !strings.Contains(err.Error(), `relay b has a token named "report"`) {
		t.Errorf("a name that one relay has: %v", err)
	}
	revoked, err := revokeTokens(t.Context(), members, "report")
	if err != nil || strings.Join(revoked, "") != "b" {
		t.Errorf("revoked in %q: %v", revoked, err)
	}
	revoked, err = revokeTokens(t.Context(), members, "inbox")
	if err != nil || strings.Join(revoked, "") != "abc" {
		t.Errorf("revoked in %q: %v", revoked, err)
	}
	for i, tokens := range kept {
		if len(tokens.List()) != 0 {
			t.Errorf("relay %d still has %+v", i, tokens.List())
		}
	}
	if _, err := revokeTokens(t.Context(), members, "inbox"); !errors.Is(err, errNoSuchToken) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestTokenOfAnAccount_IsMadeInAllRelaysOrInNone(t *testing.T) {
	members, kept := account(t, 99, 99, 0)
	_, err := createTokens(t.Context(), members, "inbox", []string{"read"}, 0)
	if err == nil || !strings.Contains(err.Error(), "relay c:") || !strings.Contains(err.Error(), "c: revoke") && !strings.Contains(err.Error(), "no relay has the token") {
		t.Errorf("the third has no room: %v", err)
	}
	for i, tokens := range kept {
		if len(tokens.List()) != 0 {
			t.Errorf("relay %d has %+v", i, tokens.List())
		}
	}
	members[2].url = "https://nobody.invalid:1/"
	members[2].client.Transport = nil
	if _, err := createTokens(t.Context(), members, "inbox", []string{"read"}, 0); err == nil || !strings.Contains(err.Error(), "relay c: calling the relay") {
		t.Errorf("the third does not answer: %v", err)
	}
	for i, tokens := range kept {
		if len(tokens.List()) != 0 {
			t.Errorf("relay %d has %+v", i, tokens.List())
		}
	}
}

// meanwhile does something before each POST.
type meanwhile struct {
	http.RoundTripper
	do func()
}

func (m meanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		m.do()
	}
	return m.RoundTripper.RoundTrip(r)
}

func TestTokenOfAnAccount_OneThatSomebodyMadeMeanwhileStays(t *testing.T) {
	members, kept := account(t, 99, 99)
	members[1].client.Transport = meanwhile{members[1].client.Transport, func() {
		_, _, err := kept[1].Create(t.Context(), "inbox", []access.Scope{access.Read}, time.Time{})
		check(t, err)
	}}
	_, err := createTokens(t.Context(), members, "inbox", []string{"read"}, 0)
	if !errors.Is(err, errTokenRefused) {
		t.Errorf("made though there is one: %v", err)
	}
	if len(kept[0].List()) != 0 || len(kept[1].List()) != 1 {
		t.Errorf("the relays have %+v and %+v", kept[0].List(), kept[1].List())
	}
}

func TestTokenOfAnAccount_WhatIsLeftIsNamed(t *testing.T) {
	members, _ := account(t, 1, 0)
	_, err := createTokens(t.Context(), members, "inbox", []string{"read"}, 0)
	if err == nil || !strings.Contains(err.Error(), "may be left, useless, in a") {
		t.Errorf("the first cannot take it back: %v", err)
	}
	members, _ = account(t, 1, 99)
	_, err = createTokens(t.Context(), members, "inbox", []string{"read"}, 0)
	check(t, err)
	revoked, err := revokeTokens(t.Context(), members, "inbox")
	if strings.Join(revoked, "") != "b" || err == nil || !strings.Contains(err.Error(), "relay a may still have it") {
		t.Errorf("revoked in %q: %v", revoked, err)
	}
}

func TestMembers_AreTheRelaysOfTheNamespaceThatNameTheAccount(t *testing.T) {
	scheme := runtime.NewScheme()
	check(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, r := range []struct{ namespace, name, account string }{
		{"acme", "b", "shop"}, {"acme", "a", "shop"}, {"acme", "c", "other"}, {"acme", "d", ""}, {"globex", "e", "shop"},
	} {
		builder.WithObjects(&v1alpha1.BusinessRelay{
			ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: r.name}, Spec: v1alpha1.BusinessRelaySpec{BusinessAccount: r.account},
		})
	}
	k := builder.Build()
	names, err := memberNames(t.Context(), k, "acme", "shop")
	if err != nil || strings.Join(names, "") != "ab" {
		t.Errorf("they are %q: %v", names, err)
	}
	if _, err := memberNames(t.Context(), k, "acme", "none"); err == nil || !strings.Contains(err.Error(), `spec.businessAccount "none"`) {
		t.Errorf("of no account: %v", err)
	}
}

func TestMembers_AddressesAreNamed(t *testing.T) {
	f := memberFlags{account: "shop", endpointFlags: endpointFlags{endpointAddress: "a=127.0.0.1:8443,b=[::1]:8444"}}
	if at, err := f.addresses(); err != nil || len(at) != 2 || at["a"] != "127.0.0.1:8443" || at["b"] != "[::1]:8444" {
		t.Errorf("they are %v: %v", at, err)
	}
	for _, args := range [][]string{
		{"token", "list", "acme", "--business-account", "shop"},
		{"token", "list", "--business-account", "shop", "--endpoint-address", "127.0.0.1:8443"},
		{"token", "revoke", "--business-account", "shop", "--for", "a", "--endpoint-address", "a="},
		{"token", "create", "--business-account", "shop"},
	} {
		if _, _, err := run(t, args...); exit.Code(err) != exit.Usage {
			t.Errorf("%v: exit %d, %v", args, exit.Code(err), err)
		}
	}
}
