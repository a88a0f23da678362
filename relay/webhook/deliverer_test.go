package webhook_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

const (
	secret      = "c2VjcmV0"
	verifyToken = "dmVyaWZ5"
)

// receiver is a business's end whose behaviour a test changes.
type receiver struct {
	*httptest.Server
	mu        sync.Mutex
	handshake func(w http.ResponseWriter, r *http.Request)
	post      func(w http.ResponseWriter, r *http.Request)
	bodies    []string
	badSigned int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{handshake: echo, post: ok}
	r.Server = httptest.NewUnstartedServer(r)
	r.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

func answer(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// echo does what a receiver must do.
func echo(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("hub.mode") != "subscribe" || q.Get("hub.verify_token") != verifyToken {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	handshake, post := r.handshake, r.post
	r.mu.Unlock()
	if req.Method == http.MethodGet {
		handshake(w, req)
		return
	}
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.bodies = append(r.bodies, string(body))
	if req.Header.Get(webhook.SignatureHeader) != webhook.Sign(secret, body) || req.Header.Get("Content-Type") != "application/json" {
		r.badSigned++
	}
	r.mu.Unlock()
	post(w, req)
}

func (r *receiver) behave(handshake, post func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handshake, r.post = handshake, post
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}

func (r *receiver) bundle() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}))
}

// fixture is a deliverer and what it told.
type fixture struct {
	*webhook.Deliverer
	mu        sync.Mutex
	finished  []int64
	commits   int
	finishing func()           // called by Finish first, if it is not nil
	dead      map[int64]string // why each was given up
	recovered int
	answers   []string // of the receiver: request and class
}

// work delivers one job.
func (f *fixture) work(ctx context.Context, j queue.Job) queue.Result {
	return f.Work(ctx, []queue.Job{j})[0]
}

func deliver(t *testing.T, to webhook.Receiver) *fixture {
	t.Helper()
	return deliverAtOnce(t, to, 1)
}

// deliverAtOnce is deliver for several updates in a webhook.
func deliverAtOnce(t *testing.T, to webhook.Receiver, maxUpdates int) *fixture {
	t.Helper()
	f := &fixture{dead: map[int64]string{}}
	d, err := webhook.New(webhook.Options{
		Receiver: to, Retention: 30 * 24 * time.Hour, Recheck: 5 * time.Millisecond,
		MaxUpdates: maxUpdates,
		Finish: func(_ context.Context, jobs ...queue.Job) error {
			if f.finishing != nil {
				f.finishing()
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, j := range jobs {
				f.finished = append(f.finished, j.ID)
			}
			f.commits++
			return nil
		},
		Bury: func(_ context.Context, j queue.Job, attempts int, failure string) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.dead[j.ID] = fmt.Sprintf("%d attempts, %s", attempts, failure)
			return nil
		},
		Recovered: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.recovered++
		},
		Answered: func(r webhook.Request, a webhook.Answer) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.answers = append(f.answers, fmt.Sprint(r, " ", a))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Deliverer = d
	return f
}

// start runs the handshakes until the test ends.
func (f *fixture) start(t *testing.T) *fixture {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// reason waits until the condition has the reason.
func (f *fixture) reason(t *testing.T, status contract.ConditionStatus, reason string) contract.Condition {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; <-time.After(5 * time.Millisecond) {
		c := f.Condition()
		if c.Status == status && c.Reason == reason {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("condition is %+v, want %s %s", c, status, reason)
		}
	}
}

func (r *receiver) as() webhook.Receiver {
	return webhook.Receiver{URL: r.URL + "/in?tenant=1", CABundle: r.bundle(), Credentials: webhook.Credentials{Secret: []byte(secret), VerifyToken: []byte(verifyToken)}}
}

func job(id int64) queue.Job {
	return queue.Job{ID: id, Created: time.Now(), Body: []byte(`{"object":"x"}`)}
}

func TestHandshake_ComesBeforeAnythingIsSent(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as())
	if f.Verified() {
		t.Fatal("verified without a handshake")
	}
	if res := f.work(t.Context(), job(1)); res.Done || len(r.got()) != 0 {
		t.Fatalf("delivered before the handshake: %+v", res)
	}
	f.start(t).reason(t, contract.True, webhook.ReasonVerified)
	if res := f.work(t.Context(), job(1)); !res.Done || len(r.got()) != 1 {
		t.Fatalf("not delivered after the handshake: %+v", res)
	}
	if r.badSigned != 0 {
		t.Error("the signature or the content type is wrong")
	}
	if !slices.Equal(f.finished, []int64{1}) {
		t.Errorf("finished %v, want job 1", f.finished)
	}
}

// Receivers read the challenge as an integer, and may tell businesses apart by a query that Go's
// parser refuses.
func TestHandshake_IsWhatReceiversCanRead(t *testing.T) {
	for _, query := range []string{"", "?", "?tenant=1;2&x=a+b%20c"} {
		r := newReceiver(t)
		asked := make(chan *http.Request, 1)
		r.behave(func(w http.ResponseWriter, req *http.Request) {
			select {
			case asked <- req:
			default:
			}
			w.WriteHeader(http.StatusForbidden)
		}, nil)
		to := r.as()
		to.URL = r.URL + "/in" + query
		deliver(t, to).start(t)
		got := (<-asked).URL.RawQuery
		own, hub, _ := strings.Cut(got, "hub.challenge=")
		if want := strings.TrimPrefix(query, "?"); strings.TrimSuffix(own, "&") != want {
			t.Errorf("the URL's query %q arrived as %q", query, own)
		}
		challenge, rest, _ := strings.Cut(hub, "&")
		if n, err := strconv.ParseInt(challenge, 10, 32); err != nil || n < 0 || strconv.FormatInt(n, 10) != challenge {
			t.Errorf("the challenge %q is no 32-bit integer: %v", challenge, err)
		}
		if rest != "hub.mode=subscribe&hub.verify_token="+verifyToken {
			t.Errorf("the handshake ends with %q", rest)
		}
	}
}

func TestCondition_SaysWhyTheHandshakeFails(t *testing.T) {
	r := newReceiver(t)
	closed := newReceiver(t)
	closed.Close()
	cases := []struct {
		name, reason string
		to           webhook.Receiver
		handshake    func(http.ResponseWriter, *http.Request)
	}{
		{"wrong verify token", webhook.ReasonChallengeFailed, func() webhook.Receiver { a := r.as(); a.VerifyToken = []byte("other"); return a }(), echo},
		{"no challenge", webhook.ReasonChallengeFailed, r.as(), ok},
		{"redirect", webhook.ReasonChallengeFailed, r.as(), func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "https://elsewhere.test/", http.StatusFound)
		}},
		{"endless answer", webhook.ReasonChallengeFailed, r.as(), func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			}
		}},
		{"unknown authority", webhook.ReasonUntrusted, webhook.Receiver{URL: r.URL}, echo},
		{"no listener", webhook.ReasonUnreachable, closed.as(), echo},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r.behave(tc.handshake, ok)
			c := deliver(t, tc.to).start(t).reason(t, contract.False, tc.reason)
			if strings.Contains(c.Message, verifyToken) || strings.Contains(c.Message, "127.0.0.1") {
				t.Errorf("the message shows too much: %s", c.Message)
			}
		})
	}
}

func TestAnswers_AreToldByClass(t *testing.T) {
	r, closed := newReceiver(t), newReceiver(t)
	closed.Close()
	told := func(f *fixture) []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.answers
	}
	for name, c := range map[string]struct {
		to        webhook.Receiver
		handshake func(http.ResponseWriter, *http.Request)
		want      string
	}{
		"accepted":          {r.as(), echo, "handshake accepted"},
		"no challenge":      {r.as(), ok, "handshake no_challenge"},
		"refused":           {r.as(), answer(403), "handshake 4xx"},
		"without an answer": {closed.as(), echo, "handshake unreachable"},
		"unknown authority": {webhook.Receiver{URL: r.URL}, echo, "handshake untrusted"},
		"credentials are bad": {webhook.Receiver{URL: r.URL, CABundle: r.bundle(), Own: func() (webhook.Credentials, error) {
			return webhook.Credentials{}, &webhook.CredentialsError{Key: "appSecret"}
		}}, echo, "handshake not_asked"},
	} {
		r.behave(c.handshake, ok)
		f := deliver(t, c.to).start(t)
		for deadline := time.Now().Add(15 * time.Second); len(told(f)) == 0 && time.Now().Before(deadline); <-time.After(time.Millisecond) {
		}
		if got := told(f); len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: told %q, want %q", name, got, c.want)
		}
	}
	r.behave(echo, ok)
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	var want []string
	for _, d := range []struct {
		status int
		class  webhook.Answer
	}{{200, webhook.Accepted}, {204, webhook.Other2xx}, {302, webhook.Redirect}, {410, webhook.ClientError}, {503, webhook.ServerError}, {600, webhook.OtherStatus}} {
		r.behave(echo, answer(d.status))
		f.work(t.Context(), job(1))
		want = append(want, "delivery "+string(d.class))
	}
	if got := slices.DeleteFunc(slices.Clone(told(f)), func(a string) bool { return strings.HasPrefix(a, "handshake") }); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	for _, w := range append(want, "delivery unreachable", "delivery untrusted", "delivery not_encrypted") {
		if !slices.Contains(webhook.Answers(), webhook.Answer(strings.TrimPrefix(w, "delivery "))) {
			t.Errorf("%s is not among those that are listed", w)
		}
	}
}

func TestDelivery_SucceedsWithStatus200Only(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	for _, status := range []int{201, 204, 302, 400, 500} {
		r.behave(echo, answer(status))
		if f.work(t.Context(), job(1)).Done {
			t.Errorf("status %d counted as delivered", status)
		}
	}
}

func TestRetry_FirstIsImmediateAndLaterOnesBackOff(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	r.behave(echo, answer(500))
	last := -time.Second
	for attempt := range 7 {
		j := job(1)
		j.Attempts = attempt
		wait := f.work(t.Context(), j).RetryAfter
		if attempt == 0 && wait != 0 {
			t.Errorf("first retry after %v, want at once", wait)
		}
		if wait <= last || wait > 72*time.Minute {
			t.Errorf("retry %d after %v, the one before after %v", attempt+1, wait, last)
		}
		last = wait
	}
}

func TestDelivery_NotAcceptedInSevenDaysIsADeadLetter(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	r.behave(echo, answer(503))
	young, last, old := job(1), job(2), job(3)
	young.Created = time.Now().Add(-6 * 24 * time.Hour)
	last.Created = time.Now().Add(-7*24*time.Hour + time.Minute) // the next attempt would be too late
	old.Created = time.Now().Add(-7*24*time.Hour - time.Minute)
	young.Attempts, last.Attempts, old.Attempts = 170, 171, 172
	if res := f.work(t.Context(), young); res.Done || res.RetryAfter == 0 {
		t.Errorf("the younger one: %+v, want that it is tried again", res)
	}
	for _, j := range []queue.Job{last, old} {
		if !f.work(t.Context(), j).Done {
			t.Errorf("job %d is not done", j.ID)
		}
	}
	want := map[int64]string{2: "172 attempts, the webhook's receiver answered 503", 3: "172 attempts, the webhook's receiver answered 503"}
	if !maps.Equal(f.dead, want) || len(r.got()) != 2 || len(f.finished) != 0 {
		t.Errorf("dead letters %v, %d deliveries, finished %v", f.dead, len(r.got()), f.finished)
	}
}

func TestDeadLetter_HasAReasonThoughItsReceiverTakesOthers(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	old := job(1)
	old.Created, old.Attempts = time.Now().Add(-8*24*time.Hour), 170 // the relay was stopped for a while
	if !f.work(t.Context(), old).Done {
		t.Error("it is not done")
	}
	if want := map[int64]string{1: "170 attempts, its time ended while it waited"}; !maps.Equal(f.dead, want) || len(r.got()) != 0 {
		t.Errorf("dead letters %v, %d deliveries", f.dead, len(r.got()))
	}
}

func TestCondition_CountsDeadLettersWhereAllElseIsWell(t *testing.T) {
	well := contract.Condition{Type: contract.ConditionWebhookVerified, Status: contract.True, Reason: webhook.ReasonVerified, Message: "well"}
	if c := webhook.WithDeadLetters(well, 0); c != well {
		t.Errorf("without any: %+v", c)
	}
	if c := webhook.WithDeadLetters(well, 3); c.Status != contract.True || c.Reason != webhook.ReasonDeadLetters || !strings.Contains(c.Message, " 3 webhooks") {
		t.Errorf("with three: %+v", c)
	}
	if ill := (contract.Condition{Status: contract.False, Reason: webhook.ReasonUnreachable}); webhook.WithDeadLetters(ill, 3) != ill {
		t.Error("what is wrong now is hidden")
	}
}

func TestReceiver_ReturningIsFoundWithoutRestart(t *testing.T) {
	r := newReceiver(t)
	r.behave(answer(503), answer(503))
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.False, webhook.ReasonChallengeFailed)
	r.behave(echo, ok)
	f.reason(t, contract.True, webhook.ReasonVerified)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recovered != 1 {
		t.Errorf("told %d times that the receiver is back, want once", f.recovered)
	}
}

func TestReceiver_AcceptingNothingIsReported(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as()).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	r.behave(echo, answer(500))
	for range 3 {
		f.work(t.Context(), job(1))
	}
	f.reason(t, contract.False, webhook.ReasonDeliveryFailing)
	r.behave(echo, ok)
	f.work(t.Context(), job(1))
	f.reason(t, contract.True, webhook.ReasonVerified)
}

func TestClearTextReceiversAreRefused(t *testing.T) {
	for _, url := range []string{"http://hook.test", "hook.test", "ftp://hook.test", "https://", "://"} {
		if _, err := webhook.New(webhook.Options{Receiver: webhook.Receiver{URL: url}}); err == nil {
			t.Errorf("%q was accepted", url)
		}
	}
}

func TestClientCertificate_IsPresented(t *testing.T) {
	r := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	r.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}
	r.StartTLS()
	t.Cleanup(r.Close)
	pool := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}))
	to := webhook.Receiver{URL: r.URL, CABundle: pool, Credentials: webhook.Credentials{VerifyToken: []byte(verifyToken)}}
	deliver(t, to).start(t).reason(t, contract.False, webhook.ReasonUnreachable)
	to.Certificate = func() (*tls.Certificate, error) { return &r.TLS.Certificates[0], nil }
	deliver(t, to).start(t).reason(t, contract.True, webhook.ReasonVerified)
}

func TestTLSBelow12IsRefused(t *testing.T) {
	r := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	r.TLS = &tls.Config{MaxVersion: tls.VersionTLS11}
	r.StartTLS()
	t.Cleanup(r.Close)
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	to := webhook.Receiver{
		URL: r.URL, Credentials: webhook.Credentials{VerifyToken: []byte(verifyToken)},
		CABundle: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})),
	}
	deliver(t, to).start(t).reason(t, contract.False, webhook.ReasonUnreachable)
}
