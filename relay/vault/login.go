package vault

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/kubernetes"
)

// maxTokenBytes bounds a service account token; real ones have about 1 kB.
const maxTokenBytes = 64 << 10

// Delays after failures. To the client, a seal or an outage ends by itself, but a refusal only
// when somebody changes something; each attempt costs the API server a token review.
const (
	firstDelay      = 500 * time.Millisecond
	maxDelay        = 10 * time.Second
	maxDelayRefused = time.Minute
)

// MetadataAccount is where Vault's answer to a login names the service account's UID.
const MetadataAccount = "service_account_uid"

// token is the result of a login. It is only in memory.
type token struct {
	client  *api.Client // sends the token; nil while there is none
	account string      // the UID of the service account that it is for
	renewAt time.Time   // when two thirds of its time have passed
	endsAt  time.Time
}

// failure is why the latest login failed, and when the next may be tried.
type failure struct {
	err   error
	until time.Time
	count int
}

// after returns the failure that follows f.
func (f failure) after(err error, now time.Time) failure {
	limit := maxDelay
	if errors.Is(err, ErrDenied) {
		limit = maxDelayRefused
	}
	delay := min(firstDelay<<min(f.count, 16), limit)
	jittered := delay/2 + rand.N(delay/2+1)
	return failure{err: err, until: now.Add(jittered), count: f.count + 1}
}

// ensureLogin returns a client with a usable token. stale, when not nil, is a client that Vault
// has just refused. While another login runs, it waits for that.
func (c *Client) ensureLogin(ctx context.Context, stale *api.Client) (*api.Client, error) {
	if client, err := c.currentToken(stale); client != nil || err != nil {
		return client, err
	}
	select {
	case <-c.login:
		defer func() { c.login <- struct{}{} }()
	case <-ctx.Done():
		return nil, classify(ctx, opLogin, ctx.Err())
	}
	if client, err := c.currentToken(stale); client != nil || err != nil { // another login was quicker
		return client, err
	}
	fresh, err := c.logIn(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if ctx.Err() != nil { // the caller gave up, which says nothing about Vault
			return nil, err
		}
		c.failure = c.failure.after(err, c.now())
		if c.token.usable(stale, c.now()) {
			return c.token.client, nil // renewal failed, but the old one still works
		}
		return nil, err
	}
	c.failure = failure{}
	c.token = fresh
	return fresh.client, nil
}

// currentToken returns the token when no login is needed, or the latest login's failure while it
// is too early for another. It returns neither when it is time to log in.
func (c *Client) currentToken(stale *api.Client) (*api.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	usable := c.token.usable(stale, now)
	if usable && (now.Before(c.token.renewAt) || now.Before(c.failure.until)) {
		return c.token.client, nil
	}
	if now.Before(c.failure.until) {
		return nil, c.failure.err
	}
	return nil, nil
}

func (t token) usable(stale *api.Client, now time.Time) bool {
	return t.client != nil && t.client != stale && now.Before(t.endsAt)
}

// refused notes that a call was refused right after a login, so that the next login for such a
// reason waits.
func (c *Client) refused(client *api.Client, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token.client == client {
		c.failure = c.failure.after(err, c.now())
	}
}

// logIn logs in with the token file as it is now.
func (c *Client) logIn(ctx context.Context) (token, error) {
	jwt, err := c.serviceAccountToken(ctx)
	if err != nil {
		return token{}, &callError{op: opLogin, kind: ErrUnavailable, cause: err}
	}
	method, err := kubernetes.NewKubernetesAuth(c.cfg.Role,
		kubernetes.WithServiceAccountToken(jwt), kubernetes.WithMountPath(c.cfg.Vault.AuthPath))
	if err != nil {
		return token{}, &callError{op: opLogin, kind: ErrUnavailable, cause: err}
	}
	var secret *api.Secret
	err = c.observe(ctx, opLogin, func(ctx context.Context) (err error) {
		secret, err = method.Login(ctx, c.api)
		return err
	})
	if err != nil {
		return token{}, err
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" || secret.Auth.LeaseDuration <= 0 {
		return token{}, foreign(opLogin, "the login's answer holds no token with an end")
	}
	client, err := newAPI(c.cfg.Vault, c.http)
	if err != nil {
		return token{}, err
	}
	client.SetToken(secret.Auth.ClientToken)
	now, ttl := c.now(), time.Duration(secret.Auth.LeaseDuration)*time.Second
	return token{
		client: client, account: secret.Auth.Metadata[MetadataAccount],
		renewAt: now.Add(ttl * 2 / 3), endsAt: now.Add(ttl),
	}, nil
}

func (c *Client) serviceAccountToken(ctx context.Context) (string, error) {
	if c.cfg.Token != nil {
		return c.cfg.Token(ctx)
	}
	f, err := os.Open(c.cfg.TokenPath)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if len(text) == 0 || len(text) > maxTokenBytes {
		return "", errors.New("the service account token's file is empty or too large")
	}
	return strings.TrimSpace(string(text)), nil
}

// Close revokes the token, if Vault can be reached within ctx. The client may still be used
// after that; it then logs in again.
func (c *Client) Close(ctx context.Context) {
	c.mu.Lock()
	client := c.token.client
	c.token = token{}
	c.mu.Unlock()
	if client == nil {
		return
	}
	// A token that is not revoked expires within minutes.
	_ = c.observe(ctx, opRevoke, func(ctx context.Context) error {
		return client.Auth().Token().RevokeSelfWithContext(ctx, "")
	})
}
