package dataplane_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// call posts to the endpoint's messages.
func (b *business) call(token string, body any) (int, string) {
	b.t.Helper()
	raw, err := json.Marshal(body)
	check(b.t, err)
	return b.request(http.MethodPost, "/messages", token, raw)
}

// request asks the endpoint about something below the number.
func (b *business) request(method, path, token string, raw []byte) (int, string) {
	b.t.Helper()
	return b.askAs(token, method, "/"+b.numberID+path, "", raw)
}

// ask asks the endpoint about anything; contentType may be empty.
func (b *business) ask(method, path, contentType string, raw []byte) (int, string) {
	b.t.Helper()
	return b.askAs(b.token, method, path, contentType, raw)
}

func (b *business) askAs(token, method, path, contentType string, raw []byte) (int, string) {
	b.t.Helper()
	b.mu.Lock()
	url := fmt.Sprintf("https://%s/v23.0%s", b.endpoint, path)
	b.mu.Unlock()
	if b.config.Endpoint.TLS == contract.TLSAtGateway {
		url = strings.Replace(url, "https:", "http:", 1)
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, url, bytes.NewReader(raw))
	check(b.t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := b.client.Do(request)
	check(b.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	check(b.t, err)
	return response.StatusCode, string(answer)
}

// say sends a text and returns the message's id.
func (b *business) say(to, text string) string {
	b.t.Helper()
	return b.sayWith(to, text, nil)
}

// sayWith is say with more fields.
func (b *business) sayWith(to, text string, fields map[string]string) string {
	b.t.Helper()
	b.hidden = append(b.hidden, text)
	body := map[string]any{"messaging_product": "whatsapp", "to": to, "text": map[string]string{"body": text}}
	for name, value := range fields {
		body[name] = value
	}
	status, answer := b.call(b.token, body)
	var accepted struct{ Messages []struct{ ID string } }
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &accepted) != nil || len(accepted.Messages) != 1 {
		b.t.Fatalf("the endpoint answered %d: %s", status, answer)
	}
	return accepted.Messages[0].ID
}
