package webhook_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// knows is a receiver's two ends for one set of credentials.
func knows(c webhook.Credentials) (handshake, post func(http.ResponseWriter, *http.Request)) {
	handshake = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("hub.verify_token") != string(c.VerifyToken) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
	}
	post = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(webhook.SignatureHeader) != webhook.Sign(c.Secret, []byte(`{"object":"x"}`)) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	return handshake, post
}

func TestReceiverWithTheFormerCredentialsIsServedUntilItHasTheNewOnes(t *testing.T) {
	before := webhook.Credentials{Secret: []byte("before"), VerifyToken: []byte("verify before")}
	r := newReceiver(t)
	r.behave(knows(before))
	to := r.as()
	to.Former = &webhook.FormerCredentials{Credentials: before, Until: time.Now().Add(time.Hour)}
	f := deliver(t, to).start(t)
	c := f.reason(t, contract.True, webhook.ReasonFormer)
	if !strings.Contains(c.Message, "kubectl relay credentials") {
		t.Errorf("the condition does not say what to do: %s", c.Message)
	}
	if res := f.work(t.Context(), job(1)); !res.Done {
		t.Errorf("by the former credentials: %+v", res)
	}
	r.behave(knows(to.Credentials)) // the business has changed them
	if res := f.work(t.Context(), job(2)); !res.Done {
		t.Errorf("by the new ones: %+v", res)
	}
	f.reason(t, contract.True, webhook.ReasonVerified)
	r.behave(knows(before)) // and back again
	if res := f.work(t.Context(), job(3)); !res.Done {
		t.Errorf("by the former ones again: %+v", res)
	}
	r.behave(echo, answer(http.StatusForbidden))
	if res := f.work(t.Context(), job(4)); res.Done {
		t.Error("a receiver that refuses both took it")
	}
}

func TestFormerCredentials_EndWithTheOverlap(t *testing.T) {
	before := webhook.Credentials{Secret: []byte("before"), VerifyToken: []byte("verify before")}
	r := newReceiver(t)
	r.behave(knows(before))
	to := r.as()
	to.Former = &webhook.FormerCredentials{Credentials: before, Until: time.Now().Add(-time.Second)}
	f := deliver(t, to).start(t)
	f.reason(t, contract.False, webhook.ReasonChallengeFailed)
	if f.work(t.Context(), job(1)).Done {
		t.Error("delivered by credentials that have ended")
	}
}
