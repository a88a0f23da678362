package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of one request to the receiver.
const (
	requestTimeout = 20 * time.Second
	dialTimeout    = 10 * time.Second
	pingAfter      = 10 * time.Second // without a word of an HTTP/2 connection on which a request is under way
	pingTimeout    = 5 * time.Second
	maxAnswer      = 64 << 10 // bytes of an answer that are read
	maxHeader      = 32 << 10
)

// Errors that say why a receiver did not accept what it was sent. They contain nothing of its
// answer but the status.
var (
	// ErrNotHTTPS means that the URL is not an https URL: content must not travel unencrypted.
	ErrNotHTTPS = errors.New("the webhook's URL does not start with https://")
	// ErrUnreachable means that there was no answer.
	ErrUnreachable = errors.New("the webhook's receiver does not answer")
	// ErrUntrusted means that the receiver's certificate is not valid for the URL.
	ErrUntrusted = errors.New("the webhook receiver's certificate is not trusted")
	// ErrChallenge means that it answered 200, but not with the challenge.
	ErrChallenge = errors.New("the webhook's receiver did not return the challenge")
)

// StatusError is an HTTP status other than 200.
type StatusError int

// Error implements error.
func (e StatusError) Error() string { return fmt.Sprintf("the webhook's receiver answered %d", int(e)) }

// Receiver is the business's end, as the relay reaches it.
type Receiver struct {
	URL      string
	CABundle string // PEM: the only authorities that count; empty means the system's
	Credentials
	// Former are the credentials before, for a receiver that does not have the present ones
	// yet; nil for none.
	Former *FormerCredentials
	// Own reads the credentials that the receiver brought, for one use, after which they are overwritten;
	// nil for a receiver that was given the relay's. With it, Credentials and Former are not used.
	// Its error is a *CredentialsError.
	Own func() (Credentials, error)
	// Certificate returns the client certificate for mutual TLS; nil for none. It is called for
	// each connection, so that a renewed certificate is picked up.
	Certificate func() (*tls.Certificate, error)
}

// Credentials are what a receiver recognizes the relay by.
type Credentials struct {
	Secret      []byte // signs deliveries
	VerifyToken []byte // proves in the handshake that it is us
}

// FormerCredentials are credentials that were rotated away. They are used, until Until, with a
// receiver that refuses the present ones.
type FormerCredentials struct {
	Credentials
	Until time.Time
}

// client sends requests to one receiver.
type client struct {
	Receiver
	url  *url.URL
	http *http.Client
}

func newClient(r Receiver) (*client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, ErrNotHTTPS
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CABundle != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(r.CABundle)) {
			return nil, errors.New("reading the webhook's CA bundle: no certificate in PEM")
		}
	}
	if r.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return r.Certificate() }
	}
	return &client{Receiver: r, url: u, http: &http.Client{
		Timeout: requestTimeout,
		// A redirect could lead anywhere, also without encryption; the API follows none.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // the environment does not decide where content goes
			DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  requestTimeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    concurrency,
			MaxConnsPerHost:        concurrency,
			IdleConnTimeout:        90 * time.Second,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			// Otherwise an HTTP/2 connection whose other end is gone would be used until TCP gives it up, a
			// quarter of an hour later.
			HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		},
	}}, nil
}

// verify runs the handshake once: the receiver must return a random challenge.
func (c *client) verify(ctx context.Context, as Credentials) error {
	challenge, err := newChallenge()
	if err != nil {
		return err
	}
	u := *c.url
	q := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {challenge}, "hub.verify_token": {string(as.VerifyToken)}}
	// The URL's own query stays as the business wrote it: reading it would drop what contains
	// a semicolon.
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+q.Encode(), "&")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return ErrUnreachable
	}
	answer, err := c.do(req)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(answer)) != challenge {
		return ErrChallenge
	}
	return nil
}

// newChallenge returns ten random decimal digits that are a positive 32-bit integer: many receivers
// read the challenge as one.
func newChallenge() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(maxChallenge-minChallenge))
	if err != nil {
		return "", fmt.Errorf("making a challenge: %w", err)
	}
	return strconv.FormatInt(minChallenge+n.Int64(), 10), nil
}

const (
	minChallenge = 1_000_000_000
	maxChallenge = 1 << 31
)

// post delivers one payload. Only the status 200 means that it was accepted.
func (c *client) post(ctx context.Context, body []byte, as Credentials) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.String(), bytes.NewReader(body))
	if err != nil {
		return ErrUnreachable
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "relaykeep")
	req.Header.Set(SignatureHeader, Sign(as.Secret, body))
	_, err = c.do(req)
	return err
}

// do sends a request and reads an answer of status 200, up to maxAnswer bytes.
func (c *client) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, StatusError(resp.StatusCode)
	case err != nil:
		return nil, ErrUnreachable
	}
	return answer, nil
}

// classify keeps only the kind of an error: its text would contain the URL and, in the
// handshake, the verify token.
func classify(err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &host), errors.As(err, &verification):
		return ErrUntrusted
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	return ErrUnreachable
}
