package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
)

// Limits of one request to a witness.
const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 16 << 10
)

// ErrAway means that a witness does not answer, or not as a witness does.
var ErrAway = errors.New("the witness does not answer")

// Client asks one witness. It implements ledger.Witness.
type Client struct {
	url      string
	verifier note.Verifier
	http     *http.Client
}

var _ ledger.Witness = (*Client)(nil)

// NewClient returns a client of the witness with a public key at an https URL. CABundle has the authorities that count, PEM;
// empty means the system's.
func NewClient(address, key, caBundle string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the witness's URL does not start with https://")
	}
	verifier, err := proof.WitnessVerifier(key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caBundle != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(caBundle)) {
			return nil, errors.New("reading the witness's CA bundle: no certificate in PEM")
		}
	}
	return &Client{
		url: strings.TrimSuffix(address, "/") + "/add-checkpoint", verifier: verifier,
		http: &http.Client{
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:     (&net.Dialer{Timeout: requestTimeout}).DialContext,
				TLSClientConfig: config, TLSHandshakeTimeout: requestTimeout, ResponseHeaderTimeout: requestTimeout,
				MaxResponseHeaderBytes: maxAnswer, MaxConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
			},
		},
	}, nil
}

// Verifier implements ledger.Witness.
func (c *Client) Verifier() note.Verifier { return c.verifier }

// Add implements ledger.Witness.
func (c *Client) Add(ctx context.Context, old int64, prove func(int64) ([][32]byte, error), signed []byte) ([]byte, error) {
	lines, known, err := c.try(ctx, old, prove, signed)
	if !errors.Is(err, errConflict) || known == old {
		return lines, forked(err)
	}
	lines, _, err = c.try(ctx, known, prove, signed) // it has cosigned something else than we know
	return lines, forked(err)
}

// errConflict means that the witness has cosigned another checkpoint last.
var errConflict = errors.New("the witness has cosigned another checkpoint last")

// forked is what a conflict means once the sizes are the same.
func forked(err error) error {
	if errors.Is(err, errConflict) {
		return ledger.ErrForked
	}
	return err
}

func (c *Client) try(ctx context.Context, old int64, prove func(int64) ([][32]byte, error), signed []byte) (lines []byte, known int64, err error) {
	path, err := prove(old)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(format(old, path, signed)))
	if err != nil {
		return nil, 0, ErrAway
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, 0, ErrAway // the error names the address
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, 0, ErrAway
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return body, 0, nil
	case http.StatusConflict:
		known, err := strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
		if err != nil || known < 0 || answer.Header.Get("Content-Type") != sizeType {
			return nil, 0, ErrAway
		}
		return nil, known, errConflict
	case http.StatusUnprocessableEntity:
		return nil, 0, ledger.ErrForked
	case http.StatusNotFound, http.StatusForbidden:
		return nil, 0, ledger.ErrRefused
	}
	return nil, 0, fmt.Errorf("%w: HTTP status %d", ErrAway, answer.StatusCode)
}
