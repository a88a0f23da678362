package guard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// reviewers stands for the API server, whose answers and failures a test decides. The tests of the package controllers
// ask a real one.
type reviewers struct {
	known map[string]string // users by token
	may   func(authorizationv1.SubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewStatus
	fail  atomic.Bool
	asked atomic.Int64
	later atomic.Int64 // by how much it is later than it is
}

// Now is the guard's time.
func (s *reviewers) Now() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }

func (s *reviewers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if s.fail.Load() {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	var answer any
	var err error
	switch {
	case strings.HasSuffix(r.URL.Path, "/tokenreviews"):
		var asks authenticationv1.TokenReview
		err = json.NewDecoder(r.Body).Decode(&asks)
		user, known := s.known[asks.Spec.Token]
		asks.Status = authenticationv1.TokenReviewStatus{Authenticated: known, User: authenticationv1.UserInfo{
			Username: user, UID: "1", Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"e": {"x"}},
		}}
		answer = asks
	case strings.HasSuffix(r.URL.Path, "/subjectaccessreviews"):
		var asks authorizationv1.SubjectAccessReview
		err = json.NewDecoder(r.Body).Decode(&asks)
		asks.Status = s.may(asks.Spec)
		answer = asks
	}
	if err != nil || answer == nil {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// guarded returns a handler behind a guard, and what is logged.
func guarded(t *testing.T, s *reviewers) (http.Handler, *strings.Builder) {
	t.Helper()
	if s.may == nil {
		s.may = func(spec authorizationv1.SubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewStatus {
			return authorizationv1.SubjectAccessReviewStatus{Allowed: spec.User == "reader"}
		}
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	g, err := newGuard(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, server.Client(), s)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	log := funcr.New(func(prefix, args string) { logged.WriteString(prefix + args + "\n") }, funcr.Options{})
	handler, err := g.Filter(log, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the metrics") }))
	if err != nil {
		t.Fatal(err)
	}
	return handler, &logged
}

// get asks for a path with the values of the header Authorization.
func get(t *testing.T, h http.Handler, path string, authorization ...string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, http.MethodGet, path, authorization...)
}

func do(t *testing.T, h http.Handler, method, path string, authorization ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if shown := strings.Contains(w.Body.String(), "the metrics"); shown != (w.Code == http.StatusOK) {
		t.Errorf("%s %s with %d values is answered with %d; the metrics are shown: %v", method, path, len(authorization), w.Code, shown)
	}
	return w
}

func TestGuard_ShowsNothingWithoutOneTokenThatIsKnown(t *testing.T) {
	h, _ := guarded(t, &reviewers{known: map[string]string{"good": "reader", "weak": "somebody"}})
	for name, c := range map[string]struct {
		authorization []string
		status        int
	}{
		"nothing":       {nil, http.StatusUnauthorized},
		"an empty one":  {[]string{""}, http.StatusUnauthorized},
		"no token":      {[]string{"Bearer "}, http.StatusUnauthorized},
		"another way":   {[]string{"Basic good"}, http.StatusUnauthorized},
		"no way":        {[]string{"good"}, http.StatusUnauthorized},
		"two tokens":    {[]string{"Bearer good", "Bearer good"}, http.StatusUnauthorized},
		"an unknown":    {[]string{"Bearer bad"}, http.StatusUnauthorized},
		"a huge one":    {[]string{"Bearer " + strings.Repeat("a", maxToken+1)}, http.StatusUnauthorized},
		"without right": {[]string{"Bearer weak"}, http.StatusForbidden},
		"a reader's":    {[]string{"Bearer good"}, http.StatusOK},
		"in small":      {[]string{"bearer  good"}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			w := get(t, h, "/metrics", c.authorization...)
			if w.Code != c.status {
				t.Errorf("the answer is %d %s, want %d", w.Code, w.Body, c.status)
			}
			if c.status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Error("nothing says how to log in")
			}
			if c.status == http.StatusForbidden && !strings.Contains(w.Body.String(), "somebody may not get /metrics") {
				t.Errorf("it is not said who may not: %s", w.Body)
			}
		})
	}
}

func TestGuard_AnswersGetOnly(t *testing.T) {
	s := &reviewers{known: map[string]string{"good": "reader"}}
	h, _ := guarded(t, s)
	for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodOptions, "get"} {
		if w := do(t, h, method, "/metrics", "Bearer good"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodGet {
			t.Errorf("%s is answered with %d", method, w.Code)
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the API server was asked %d times", n)
	}
}

func TestGuard_AsksForTheWholeUserAndThePath(t *testing.T) {
	var asked authorizationv1.SubjectAccessReviewSpec
	s := &reviewers{known: map[string]string{"good": "reader"}}
	s.may = func(spec authorizationv1.SubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewStatus {
		asked = spec
		return authorizationv1.SubjectAccessReviewStatus{Allowed: spec.NonResourceAttributes.Path == "/metrics"}
	}
	h, _ := guarded(t, s)
	if w := get(t, h, "/metrics", "Bearer good"); w.Code != http.StatusOK {
		t.Errorf("the answer is %d", w.Code)
	}
	if asked.User != "reader" || asked.UID != "1" || len(asked.Groups) != 1 || len(asked.Extra["e"]) != 1 || asked.NonResourceAttributes.Verb != "get" || asked.ResourceAttributes != nil {
		t.Errorf("the API server was asked about %+v", asked)
	}
	if w := get(t, h, "/debug", "Bearer good"); w.Code != http.StatusForbidden {
		t.Errorf("the right to one path opens another: %d", w.Code)
	}
}

func TestGuard_TakesADenialThoughAllowed(t *testing.T) {
	s := &reviewers{known: map[string]string{"good": "reader"}}
	s.may = func(authorizationv1.SubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewStatus {
		return authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}
	}
	h, _ := guarded(t, s)
	if w := get(t, h, "/metrics", "Bearer good"); w.Code != http.StatusForbidden {
		t.Errorf("the answer is %d", w.Code)
	}
}

func TestGuard_RemembersAnswersAndNoFailure(t *testing.T) {
	s := &reviewers{known: map[string]string{"good": "reader"}}
	h, logged := guarded(t, s)
	s.fail.Store(true)
	w := get(t, h, "/metrics", "Bearer good")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("while the API server fails the answer is %d", w.Code)
	}
	if text := logged.String(); !strings.Contains(text, "cannot check who asks") || strings.Contains(text, "good") {
		t.Errorf("what is logged is %q", text)
	}
	s.fail.Store(false)
	s.asked.Store(0)
	for range 3 {
		if w := get(t, h, "/metrics", "Bearer good"); w.Code != http.StatusOK {
			t.Errorf("the answer is %d", w.Code)
		}
		if w := get(t, h, "/metrics", "Bearer bad"); w.Code != http.StatusUnauthorized {
			t.Errorf("the answer is %d", w.Code)
		}
	}
	if n := s.asked.Load(); n != 3 { // two about the reader, one about the unknown
		t.Errorf("the API server was asked %d times", n)
	}
}

func TestGuard_ForgetsAnswersInTime(t *testing.T) {
	s := &reviewers{known: map[string]string{"good": "reader"}}
	h, _ := guarded(t, s)
	answers := func(token string, want int) {
		t.Helper()
		if w := get(t, h, "/metrics", "Bearer "+token); w.Code != want {
			t.Errorf("the answer is %d, want %d", w.Code, want)
		}
	}
	answers("good", http.StatusOK)
	answers("late", http.StatusUnauthorized)
	s.known = map[string]string{"late": "reader"}
	s.later.Store(int64(9 * time.Second))
	answers("late", http.StatusUnauthorized)
	s.later.Store(int64(11 * time.Second))
	answers("late", http.StatusOK)
	answers("good", http.StatusOK)
	s.later.Store(int64(59 * time.Second))
	answers("good", http.StatusOK)
	s.later.Store(int64(61 * time.Second))
	answers("good", http.StatusUnauthorized)
}

func TestGuard_PassesNoFloodOn(t *testing.T) {
	s := &reviewers{known: map[string]string{"good": "reader"}}
	h, _ := guarded(t, s)
	if w := get(t, h, "/metrics", "Bearer good"); w.Code != http.StatusOK {
		t.Fatalf("the answer is %d", w.Code)
	}
	s.asked.Store(0)
	refused := 0
	for i := range 10 * asksAtOnce {
		if w := get(t, h, "/metrics", "Bearer invented"+strings.Repeat("x", i)); w.Code == http.StatusServiceUnavailable {
			refused++
		}
	}
	if n := s.asked.Load(); refused == 0 || n+int64(refused) != 10*asksAtOnce {
		t.Errorf("of %d invented tokens the API server was asked about %d, and %d were refused before", 10*asksAtOnce, n, refused)
	}
	for _, later := range []time.Duration{0, 2 * allowedFor} { // remembered, and asked about again
		s.later.Store(int64(later))
		if w := get(t, h, "/metrics", "Bearer good"); w.Code != http.StatusOK {
			t.Errorf("a reader who is known is answered with %d after %s", w.Code, later)
		}
	}
}
