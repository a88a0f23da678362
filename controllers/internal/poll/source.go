// Package poll asks relays how they are, each at its own pace, and remembers their
// last answers. It must not know Kubernetes beyond an object's name, nor what an
// answer means for a condition.
package poll

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Source fetches the status of the relay at a host, an IP address.
type Source interface {
	Fetch(ctx context.Context, host string) (*contract.Status, error)
}

const (
	// fetchTimeout bounds one request, from dialling to the last byte.
	fetchTimeout = 3 * time.Second
	// maxHeaderBytes bounds what a relay may send before its body.
	maxHeaderBytes = 16 << 10
)

// HTTP fetches from the relays' status port. The zero value is not usable.
type HTTP struct{ client *http.Client }

// NewHTTP returns a source that follows no redirect, uses no proxy and keeps no
// connection: a relay is a tenant's, and there are many.
func NewHTTP() *HTTP {
	return &HTTP{client: &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:                  nil,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Fetch asks the relay at host. The answer's conditions are not validated.
func (h *HTTP) Fetch(ctx context.Context, host string) (*contract.Status, error) {
	return h.fetch(ctx, "http://"+net.JoinHostPort(host, strconv.Itoa(int(contract.StatusPort)))+"/status")
}

func (h *HTTP) fetch(ctx context.Context, url string) (*contract.Status, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking a relay for its status: %w", err)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking a relay for its status: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking a relay for its status: answer %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, contract.MaxStatusBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading a relay's status: %w", err)
	}
	return Parse(body)
}

// Parse reads a relay's answer.
func Parse(body []byte) (*contract.Status, error) {
	if len(body) > contract.MaxStatusBytes {
		return nil, fmt.Errorf("reading a relay's status: more than %d bytes", contract.MaxStatusBytes)
	}
	var s contract.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading a relay's status: not JSON of the expected shape")
	}
	if s.Version != contract.StatusVersion {
		return nil, fmt.Errorf("reading a relay's status: version %d is not %d", s.Version, contract.StatusVersion)
	}
	return &s, nil
}
