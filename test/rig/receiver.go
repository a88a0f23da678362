package rig

import (
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
)

// Receiver is a business's webhook receiver. It refuses webhooks that are not signed
// with the business's secret.
type Receiver struct {
	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex      // guards the following fields
	known    vault.Access    // credentials that it goes by
	key      *rsa.PrivateKey // decrypts every webhook; nil for webhooks in clear
	down     bool
	got      []webhooktest.Update
	bodies   [][]byte
	next     int // how far Next has come
	unsigned int
	listener func(request *http.Request, body []byte) // nil for none
	hangs    func(body []byte) bool                   // nil for never
}

func newReceiver(t testing.TB) *Receiver {
	r := &Receiver{t: t}
	r.server = httptest.NewTLSServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// Expect has the receiver go by other credentials. Without a verify token it agrees to
// any handshake.
func (r *Receiver) Expect(known vault.Access) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = known
}

// ExpectEncrypted has the receiver refuse every webhook that is not encrypted for a key. Nil has it
// expect webhooks in clear.
func (r *Receiver) ExpectEncrypted(key *rsa.PrivateKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
}

// Listen has a function be called for each request from now on, handshakes included, with its body. It
// must not call the receiver.
func (r *Receiver) Listen(f func(request *http.Request, body []byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener = f
}

// Known returns the credentials that the receiver goes by.
func (r *Receiver) Known() vault.Access {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

// SetDown has the receiver refuse everything, or accept it again.
func (r *Receiver) SetDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// Hang has the receiver not answer webhooks whose body fits, until the relay ends the request. Nil ends that.
func (r *Receiver) Hang(fits func(body []byte) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangs = fits
}

// ServeHTTP answers the handshake and accepts webhooks.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hangs != nil && request.Method == http.MethodPost && r.hangs(body) {
		r.mu.Unlock()
		<-request.Context().Done()
		r.mu.Lock()
		return
	}
	if r.listener != nil {
		r.listener(request, body)
	}
	switch {
	case r.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case request.Method == http.MethodGet:
		r.handshake(w, request)
	case request.Header.Get(webhook.SignatureHeader) != webhook.Sign(r.known.WebhookSecret, body):
		r.unsigned++
		w.WriteHeader(http.StatusUnauthorized)
	default:
		if r.key != nil {
			body, err = webhooktest.DecryptPayload(body, r.key)
		}
		updates, malformed := webhooktest.Decode(body)
		if err != nil || malformed != nil {
			r.unsigned++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.got = append(r.got, updates...)
		r.bodies = append(r.bodies, body)
	}
}

// handshake answers a challenge. The caller holds mu.
func (r *Receiver) handshake(w http.ResponseWriter, request *http.Request) {
	q := request.URL.Query()
	if r.known.VerifyToken != "" && q.Get("hub.verify_token") != r.known.VerifyToken {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

// Bodies returns what the webhooks said, word for word.
func (r *Receiver) Bodies() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}

// Unsigned returns how many webhooks had no valid signature, encryption or shape so far.
func (r *Receiver) Unsigned() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsigned
}

// Updates returns what the webhook got so far.
func (r *Receiver) Updates() []webhooktest.Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// WaitUpdate waits for an update that fits, among all that ever came.
func (r *Receiver) WaitUpdate(what string, fits func(webhooktest.Update) bool) (found webhooktest.Update) {
	r.t.Helper()
	await.Until(r.t, what+" at the webhook", func() bool {
		all := r.Updates()
		i := slices.IndexFunc(all, fits)
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// WaitText waits for a customer's text and returns its update.
func (r *Receiver) WaitText(text string) webhooktest.Update {
	r.t.Helper()
	return r.WaitUpdate("a customer's text", func(u webhooktest.Update) bool { return u.Type == "text" && u.Text == text })
}

// WaitStatus waits until the webhook has told one of some statuses of a message.
func (r *Receiver) WaitStatus(id string, statuses ...string) webhooktest.Update {
	r.t.Helper()
	return r.WaitUpdate("status "+strings.Join(statuses, " or "), func(u webhooktest.Update) bool {
		return u.ID == id && slices.Contains(statuses, u.Status)
	})
}

// Next waits for the first message that Next has not returned yet.
func (r *Receiver) Next() (message webhooktest.Update) {
	r.t.Helper()
	await.Until(r.t, "another message at the webhook", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for r.next < len(r.got) && r.got[r.next].Status != "" {
			r.next++
		}
		if r.next == len(r.got) {
			return false
		}
		message = r.got[r.next]
		r.next++
		return true
	})
	return message
}
