package soak_test

import (
	"encoding/pem"
	"fmt"
	"hash/maphash"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// mood is how the business's receiver behaves.
type mood int32

const (
	well     mood = iota
	refuses       // answers 500
	slow          // takes a tenth of a second for each
	hangs         // does not answer
	cutsOff       // cuts the connection instead of reading
	forgets       // takes the webhook and cuts the connection instead of answering
	answered      // takes it, and answers 202, which is no success
)

// receiver is the business's webhook receiver. It notes what it took in the ledger.
type receiver struct {
	*ledger
	server *httptest.Server
	known  func() vault.Access
	mood   atomic.Int32
}

func startReceiver(t *testing.T, l *ledger) *receiver {
	r := &receiver{ledger: l}
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	return r
}

// hook is what the operator tells the relay of it.
func (r *receiver) hook() *contract.Webhook {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	return &contract.Webhook{URL: r.server.URL, CABundle: string(ca)}
}

func (r *receiver) be(m mood) { r.mood.Store(int32(m)) }

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	m := mood(r.mood.Load())
	switch m {
	case refuses:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case slow:
		<-time.After(100 * time.Millisecond)
	case hangs:
		for mood(r.mood.Load()) == hangs && request.Context().Err() == nil {
			<-time.After(50 * time.Millisecond)
		}
		panic(http.ErrAbortHandler)
	case cutsOff:
		panic(http.ErrAbortHandler)
	case well, forgets, answered:
	}
	if request.Method == http.MethodGet {
		_, _ = io.WriteString(w, request.URL.Query().Get("hub.challenge"))
		return
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	if request.Header.Get(webhook.SignatureHeader) != webhook.Sign(r.known().WebhookSecret, body) {
		r.wrong("a webhook without a valid signature")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	updates, err := webhooktest.Decode(body)
	if err != nil {
		r.wrong("a malformed webhook")
		return
	}
	r.with(func() {
		for _, u := range updates {
			r.note(u)
		}
	})
	if m == forgets {
		panic(http.ErrAbortHandler)
	}
	if m == answered {
		w.WriteHeader(http.StatusAccepted)
	}
}

// note counts an update. The caller holds the ledger.
func (r *receiver) note(u webhooktest.Update) {
	switch u.Type {
	case "text":
		n, err := r.number(u.Text)
		if err != nil {
			r.strange["a text that no customer wrote"]++
			return
		}
		r.in.arrive(n, maphash.String(r.seed, u.ID), true)
	case "system", "":
		r.status(u)
	default:
		r.strange[fmt.Sprintf("a webhook of type %s, code %d", u.Type, u.Code)]++
	}
}

func (r *receiver) status(u webhooktest.Update) {
	if u.Status == "" {
		r.strange["a notice "+u.System]++
		return
	}
	n, err := strconv.Atoi(u.Opaque)
	if err != nil || n < 0 || n >= len(r.out.state) {
		r.strange["a status of no message"]++
		return
	}
	switch u.Status {
	case "sent":
		r.out.mark(n, sent, &r.out.sent)
	case "delivered", "read":
		r.out.mark(n, delivered, &r.out.delivered)
	default:
		r.strange["status "+u.Status]++
	}
}
