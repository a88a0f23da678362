// Package api speaks to the cluster's API server, in the few requests that bringing a cluster up needs. It knows no kinds: callers
// name paths.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 8 << 20

// Client is an administrator's.
type Client struct {
	base string
	http *http.Client
}

// New returns a client of the API server at that URL.
func New(base string, config *tls.Config) *Client {
	return &Client{base: base, http: &http.Client{
		Timeout: 15 * time.Second,
		// No proxy: the server is on this machine.
		Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 8, ForceAttemptHTTP2: true},
	}}
}

// StatusError is an answer that is no success.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// Message is the server's.
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the API server answers %d: %s", e.Code, e.Message)
}

// IsNotFound tells whether err says that an object is not there.
func IsNotFound(err error) bool {
	s, ok := errors.AsType[*StatusError](err)
	return ok && s.Code == http.StatusNotFound
}

// Get reads the object at path into v.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	content, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// Apply makes the object at path what the body, YAML or JSON, says, by server-side apply.
func (c *Client) Apply(ctx context.Context, path string, body []byte) error {
	_, err := c.do(ctx, http.MethodPatch, path+"?fieldManager=relaykeep-cluster&force=true", "application/apply-patch+yaml", body)
	if err != nil {
		return fmt.Errorf("applying %s: %w", path, err)
	}
	return nil
}

// Merge changes the object at path by a JSON merge patch (RFC 7396).
func (c *Client) Merge(ctx context.Context, path string, patch any) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err := c.do(ctx, http.MethodPatch, path, "application/merge-patch+json", body); err != nil {
		return fmt.Errorf("changing %s: %w", path, err)
	}
	return nil
}

// Ready fails unless the server says that it is ready.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodGet, "/readyz", "", nil)
	return err
}

func (c *Client) do(ctx context.Context, method, path, kind string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	request.Header.Set("Accept", "application/json, */*")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, statusError(response.StatusCode, content)
	}
	return content, nil
}

func statusError(code int, content []byte) error {
	var status struct{ Message string }
	if json.Unmarshal(content, &status) != nil || status.Message == "" {
		status.Message = string(content[:min(len(content), 300)])
	}
	return &StatusError{Code: code, Message: status.Message}
}
