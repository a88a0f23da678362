// Package guard lets only those read an HTTP handler whom the API server knows by their bearer token and allows to get
// the path. Its one job is to ask and to remember the answers for a short time; when it gets none, nobody reads. It must
// not know what is read.
package guard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

const (
	// maxToken is the length of the longest token that is shown to the API server, in bytes.
	maxToken = 16 << 10
	// askTime bounds both questions about one request.
	askTime = 10 * time.Second
	// allowedFor and refusedFor are how long an answer is remembered: as long as a token that was revoked, or a right that was
	// taken, still counts, and as long as a new right does not count yet.
	allowedFor = time.Minute
	refusedFor = 10 * time.Second
	// admittedFor is how long it is remembered that a token was allowed to get a path once. It lets nobody in: such a token
	// is asked about within a limit that strangers with invented ones do not use up.
	admittedFor = time.Hour
	// remembered is how many answers of each kind are; the one that was needed longest ago goes first.
	remembered = 512
	// asksPerSecond and asksAtOnce bound what strangers with invented tokens can have the API server asked, and as many
	// those who were allowed once.
	asksPerSecond = 10
	asksAtOnce    = 20
)

// Guard asks the API server. It is safe for concurrent use.
type Guard struct {
	tokens authenticationclient.TokenReviewInterface
	rights authorizationclient.SubjectAccessReviewInterface

	allowances, refusals, admitted *cache.LRUExpireCache // each by token and path
	strangers, regulars            *rate.Limiter
}

// New returns a guard that asks the API server of cfg with client. Its user must be allowed to create TokenReviews and
// SubjectAccessReviews.
func New(cfg *rest.Config, client *http.Client) (*Guard, error) {
	return newGuard(cfg, client, clock{})
}

// clock is the time.
type clock struct{}

func (clock) Now() time.Time { return time.Now() }

func newGuard(cfg *rest.Config, client *http.Client, now cache.Clock) (*Guard, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.RateLimiter = -1, nil // the guard has a limit of its own, beyond which it does not wait
	tokens, err := authenticationclient.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("making the client that checks tokens: %w", err)
	}
	rights, err := authorizationclient.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("making the client that checks rights: %w", err)
	}
	return &Guard{
		tokens: tokens.TokenReviews(), rights: rights.SubjectAccessReviews(),
		allowances: cache.NewLRUExpireCacheWithClock(remembered, now), refusals: cache.NewLRUExpireCacheWithClock(remembered, now),
		admitted:  cache.NewLRUExpireCacheWithClock(remembered, now),
		strangers: rate.NewLimiter(asksPerSecond, asksAtOnce), regulars: rate.NewLimiter(asksPerSecond, asksAtOnce),
	}, nil
}

// answer is what a request gets: http.StatusOK lets it through to the handler.
type answer struct {
	status int
	text   string
}

func allowed() answer { return answer{status: http.StatusOK} }

func unknown() answer {
	return answer{http.StatusUnauthorized, "send a token that this cluster's API server knows, as Authorization: Bearer TOKEN"}
}

func forbidden(user, path string) answer {
	return answer{http.StatusForbidden, fmt.Sprintf(
		"%s may not get %s: bind it to the ClusterRole of the chart whose name ends in -metrics-reader, or to another one with that path in nonResourceURLs", user, path)}
}

func unproven() answer {
	return answer{http.StatusServiceUnavailable, "the API server cannot be asked who you are: try again"}
}

func tooMany() answer {
	return answer{http.StatusServiceUnavailable, "too many unknown tokens: try again in a second"}
}

// Filter puts the guard before a handler. It logs neither tokens nor who sent them.
func (g *Guard) Filter(log logr.Logger, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		a, err := g.about(r)
		if err != nil && r.Context().Err() == nil { // who asked still waits
			log.Error(err, "cannot check who asks, so nobody is answered")
		}
		switch a.status {
		case http.StatusOK:
			next.ServeHTTP(w, r)
			return
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", "Bearer")
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, a.text, a.status)
	}), nil
}

// about returns the answer for a request. With an error nothing was found out.
func (g *Guard) about(r *http.Request) (answer, error) {
	token, has := bearer(r)
	if !has {
		return unknown(), nil
	}
	hash := sha256.Sum256([]byte(token))
	key := string(hash[:]) + r.URL.Path
	for _, answers := range []*cache.LRUExpireCache{g.allowances, g.refusals} {
		if known, ok := answers.Get(key); ok {
			return known.(answer), nil
		}
	}
	asks := g.strangers
	if _, ok := g.admitted.Get(key); ok {
		asks = g.regulars
	}
	if !asks.Allow() {
		return tooMany(), nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTime)
	defer cancel()
	a, err := g.ask(ctx, token, r.URL.Path)
	if err != nil {
		return unproven(), err
	}
	if a == allowed() {
		g.allowances.Add(key, a, allowedFor)
		g.admitted.Add(key, struct{}{}, admittedFor)
	} else {
		g.refusals.Add(key, a, refusedFor)
		g.admitted.Remove(key)
	}
	return a, nil
}

// bearer returns the only token of a request.
func bearer(r *http.Request) (string, bool) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(given[0], " ")
	token = strings.TrimSpace(token)
	return token, found && strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= maxToken
}

// ask asks the API server whose the token is, and whether they may get the path.
func (g *Guard) ask(ctx context.Context, token, path string) (answer, error) {
	who, err := g.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return answer{}, fmt.Errorf("asking whose a token is: %w", err)
	}
	if !who.Status.Authenticated {
		return unknown(), nil
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	may, err := g.rights.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: "get"},
	}}, metav1.CreateOptions{})
	if err != nil {
		return answer{}, fmt.Errorf("asking for the rights of a token's owner: %w", err)
	}
	if !may.Status.Allowed || may.Status.Denied {
		return forbidden(user.Username, path), nil
	}
	return allowed(), nil
}
