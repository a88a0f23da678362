package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
)

// newAPI makes the API client. VAULT_ variables of the environment do not affect it. It follows
// no redirect, which would send the token elsewhere: do not configure the address of a standby
// that does not forward requests.
func newAPI(v contract.Vault, client *http.Client) (*api.Client, error) {
	u, err := url.Parse(v.Address)
	if err != nil || u.Scheme != "https" || u.Host == "" || (u.Path != "" && u.Path != "/") || u.User != nil {
		return nil, errors.New("configuring the Vault client: the address must be https://host:port")
	}
	c, err := api.NewClient(&api.Config{
		Address: "https://" + u.Host, Timeout: callTimeout, HttpClient: client, DisableRedirects: true,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the Vault client: %w", err)
	}
	c.ClearToken()
	c.ClearNamespace()
	return c, nil
}

// newHTTP makes the HTTP client that trusts the CA bundle, or the system's
// authorities when it is empty.
func newHTTP(caBundle string) (*http.Client, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if caBundle != "" {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM([]byte(caBundle)) {
			return nil, errors.New("configuring the Vault client: the CA bundle holds no certificate")
		}
	}
	return &http.Client{
		Transport:     limited{newTransport(tlsConfig)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func newTransport(tlsConfig *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  callTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
	}
}

// errTooLarge means that an answer exceeds maxResponseBytes, or a list maxListBytes.
var errTooLarge = errors.New("the answer is too large")

// errElsewhere means that a standby, or something in between, redirected to another address. A
// standby without its leader does that for a while. The client does not follow it.
var errElsewhere = errors.New("a standby node answered and did not forward the request")

// limited bounds how much of an answer is read, and turns a redirect into an error.
type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode < http.StatusBadRequest {
		return nil, errors.Join(errElsewhere, resp.Body.Close())
	}
	limit := int64(maxResponseBytes)
	if r.URL.Query().Get("list") == "true" {
		limit = maxListBytes
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: limit}
	return resp, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
