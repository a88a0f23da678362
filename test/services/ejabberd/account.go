package ejabberd

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// AddAccount makes the account user@s.Domain, or sets its password when there is
// one. The server must run.
func (s *Server) AddAccount(ctx context.Context, user, password string) error {
	account := map[string]any{"user": user, "host": s.Domain, "password": password}
	if err := s.call(ctx, "register", account); err == nil {
		return nil
	}
	return s.call(ctx, "change_password", map[string]any{"user": user, "host": s.Domain, "newpass": password})
}

// RemoveAccount removes the account and all of its data. The server must run.
func (s *Server) RemoveAccount(ctx context.Context, user string) error {
	return s.call(ctx, "unregister", map[string]any{"user": user, "host": s.Domain})
}

// HasAccount tells whether the server knows the account. The server must run.
func (s *Server) HasAccount(ctx context.Context, user string) (bool, error) {
	out, err := s.ask(ctx, "check_account", map[string]any{"user": user, "host": s.Domain})
	return string(bytes.TrimSpace(out)) == "0", err
}

// call runs an administration's command that answers with 0 or with a text.
func (s *Server) call(ctx context.Context, command string, args map[string]any) error {
	_, err := s.ask(ctx, command, args)
	return err
}

func (s *Server) ask(ctx context.Context, command string, args map[string]any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", command, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.HTTPAddr+"/api/"+command, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking ejabberd to %s: %w", command, err)
	}
	r.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking ejabberd to %s: %w", command, err)
	}
	defer answer.Body.Close()
	out, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("asking ejabberd to %s: %w", command, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking ejabberd to %s: %s: %s", command, answer.Status, out)
	}
	return out, nil
}
