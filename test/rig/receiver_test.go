package rig

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

func TestReceiver_TakesOnlyWhatIsSigned(t *testing.T) {
	r := newReceiver(t)
	r.Expect(vault.Access{WebhookSecret: "secret", VerifyToken: "token"})
	const body = `{"entry":[{"changes":[{"value":{"statuses":[{"id":"wamid.A","status":"sent"}]}}]}]}`
	post := func(secret, body string) int {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set(webhook.SignatureHeader, webhook.Sign(secret, []byte(body)))
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		return w.Code
	}
	if code := post("another secret", body); code != http.StatusUnauthorized || r.Unsigned() != 1 {
		t.Errorf("signed with another secret, the answer is %d and %d count as unsigned", code, r.Unsigned())
	}
	if post("secret", "no webhook"); r.Unsigned() != 2 {
		t.Errorf("%d count as unsigned, want the one without shape, too", r.Unsigned())
	}
	r.SetDown(true)
	if code := post("secret", body); code != http.StatusServiceUnavailable || len(r.Updates()) != 0 {
		t.Errorf("a receiver that is down answers %d and has %d updates", code, len(r.Updates()))
	}
	r.SetDown(false)
	if code := post("secret", body); code != http.StatusOK || r.WaitStatus("wamid.A", "sent").Status != "sent" {
		t.Errorf("signed, the answer is %d", code)
	}
}

func TestReceiver_AnswersTheChallengeOfItsOwnTokenAlone(t *testing.T) {
	r := newReceiver(t)
	r.Expect(vault.Access{VerifyToken: "token"})
	for token, want := range map[string]int{"token": http.StatusOK, "another": http.StatusForbidden} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?hub.challenge=7&hub.verify_token="+token, http.NoBody))
		if w.Code != want || (w.Body.String() == "7") != (want == http.StatusOK) {
			t.Errorf("the token %q is answered with %d %q", token, w.Code, w.Body)
		}
	}
}

func TestLeaks_FindsEachForm(t *testing.T) {
	secrets := []string{"canary in", "number", "numb ?>", "ö7"}
	for form, want := range map[string]int{
		"a canary in a cage": 1, "Y2FuYXJ5IGlu": 1, "63616e61727920696e": 1, "canary in bnVtYmVy": 2, "nothing of the kind": 0,
		"numb number": 1, "bnVtYiA/Pg": 1, "bnVtYiA_Pg": 1, "6e756d62203f3e": 1, "a canary icanary in": 1,
		"ö7": 1, "7 ö7": 1, "c3b637": 1, "w7Y3": 1, "ö": 0, "": 0,
	} {
		if n := Leaks([]byte(form), secrets); n != want {
			t.Errorf("%q holds %d secrets, want %d", form, n, want)
		}
	}
}
