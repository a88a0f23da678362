package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/relaykeep/relaykeep/test/lab"
)

// holder is whom an access token of acme's endpoint was given to.
type holder string

// The holders: acme's own programs, those of one scope alone, one of all scopes, one whose token was revoked,
// and globex.
const (
	acmesOwn   holder = "own"
	sender     holder = "send"
	readerOnly holder = "read"
	uploader   holder = "media"
	templater  holder = "templates"
	manager    holder = "admin"
	everything holder = "send,read,media,templates,admin"
	revoked    holder = "revoked"
	globexsOwn holder = "globex"
)

// tokenOf returns a holder's access token. The named ones are made for the scene.
func (s *Scene) tokenOf(ctx context.Context, h holder) (string, error) {
	business, scopes := lab.Acme, string(h)
	if h == globexsOwn {
		business = lab.Globex
	}
	if h == acmesOwn || h == globexsOwn {
		known, err := s.lab.Credentials(business)
		return known.AccessToken, err
	}
	if h == revoked {
		scopes = string(everything)
	}
	if made := s.holders[h]; made != "" {
		return made, nil
	}
	name := "attack-" + s.mark + "-" + strings.ReplaceAll(string(h), ",", "-")
	body, err := json.Marshal(map[string]any{"name": name, "scopes": strings.Split(scopes, ","), "expires_in": 3600})
	if err != nil {
		return "", err
	}
	answer, err := s.endpoint(ctx, acmesOwn, http.MethodPost, "access_tokens", string(body))
	if err != nil {
		return "", fmt.Errorf("preparing the token of %s: %w", h, err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(answer, &made); err != nil || made.Token == "" {
		return "", errors.New("preparing a token: the relay made none")
	}
	revoke := func(ctx context.Context) error {
		_, err := s.endpoint(ctx, acmesOwn, http.MethodDelete, "access_tokens/"+name, "")
		return err
	}
	if h == revoked {
		if err := revoke(ctx); err != nil {
			return "", fmt.Errorf("preparing the token of %s: %w", h, err)
		}
	} else {
		s.undo = append(s.undo, revoke)
	}
	s.holders[h] = made.Token
	return made.Token, nil
}

// refusedAtEndpoint is an answer of the endpoint that says that the caller may not do this.
type refusedAtEndpoint struct{ status int }

func (e *refusedAtEndpoint) Error() string { return fmt.Sprintf("the endpoint answered %d", e.status) }

func byEndpoint(err error) bool {
	var refused *refusedAtEndpoint
	return errors.As(err, &refused)
}

// endpoint sends a request to an edge of acme's number and returns the answer. Only a refusal of access is an
// error: who may, and asks for nonsense, reached what they asked for.
func (s *Scene) endpoint(ctx context.Context, h holder, method, edge, body string) ([]byte, error) {
	token, err := s.tokenOf(ctx, h)
	if err != nil {
		return nil, err
	}
	status, answer, err := s.request(ctx, lab.Acme, token, method, edge, body)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return nil, &refusedAtEndpoint{status}
	}
	return answer, nil
}

// request sends a request to an edge of a business's number. An answer that says that the relay failed is an error.
func (s *Scene) request(ctx context.Context, b *lab.Business, token, method, edge, body string) (status int, answer []byte, err error) {
	known, err := s.lab.Credentials(b)
	if err != nil {
		return 0, nil, err
	}
	client, err := s.lab.EndpointClient(ctx, b)
	if err != nil {
		return 0, nil, err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, known.Endpoint+"/v25.0/"+known.PhoneNumberID+"/"+edge, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("the endpoint answered %d", response.StatusCode)
	}
	return response.StatusCode, answer, err
}

// asks asks acme's endpoint as a holder.
func asks(h holder, method, edge, body string) act {
	return func(ctx context.Context, s *Scene) error {
		_, err := s.endpoint(ctx, h, method, edge, body)
		return err
	}
}

// byHolders are attempts to do more at acme's endpoint than an access token allows.
func byHolders() []Attempt {
	const (
		scopes = "the token's scopes"
		wanted = `{"name":"attack","scopes":["send"],"expires_in":-1}` // makes none for anybody
	)
	may := func(what string) string { return "the holder of a token to " + what }
	try := func(who, tries, owner string, as, twin holder, method, edge, body string) Attempt {
		return Attempt{who, tries, scopes, owner, asks(as, method, edge, body), asks(twin, method, edge, body), byEndpoint}
	}
	var (
		sends     = may("send")
		reads     = may("read")
		uploads   = may("move files")
		templates = may("change templates")
		manages   = may("manage customers")
		all       = "the holder of a token with all scopes"
		business  = "acme's own token"
	)
	return []Attempt{
		try(reads, "sends a message", sends, readerOnly, sender, http.MethodPost, "messages", "{}"),
		try(uploads, "sends a message", sends, uploader, sender, http.MethodPost, "messages", "{}"),
		try(templates, "blocks a customer", sends, templater, sender, http.MethodPost, "block_users", "{}"),
		try(sends, "reads about the number", reads, sender, readerOnly, http.MethodGet, "", ""),
		try(sends, "lists blocked customers", reads, sender, readerOnly, http.MethodGet, "block_users", ""),
		try(sends, "uploads a file", uploads, sender, uploader, http.MethodPost, "media", "{}"),
		try(reads, "exports a customer", manages, readerOnly, manager, http.MethodGet, "customers/491", ""),
		try(sends, "erases a customer", manages, sender, manager, http.MethodDelete, "customers/491", ""),
		try(manages, "lists acme's access tokens", business, manager, acmesOwn, http.MethodGet, "access_tokens", ""),
		try(all, "makes an access token", business, everything, acmesOwn, http.MethodPost, "access_tokens", wanted),
		try(all, "revokes an access token", business, everything, acmesOwn, http.MethodDelete, "access_tokens/attack", ""),
		try("the holder of a token that was revoked", "reads about the number", reads, revoked, readerOnly, http.MethodGet, "", ""),
		try("globex, with its own token,", "reads about acme's number", business, globexsOwn, acmesOwn, http.MethodGet, "", ""),
	}
}
