package rig

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Version is what the paths of the Cloud API begin with.
const Version = "/v23.0"

// Try calls the endpoint; contentType may be empty. It may be called on any goroutine.
func (b *Business) Try(token, method, path, contentType string, body []byte) (status int, answer string, err error) {
	url := "https://" + b.Endpoint() + path
	if b.Config.Endpoint.TLS == contract.TLSAtGateway {
		url = strings.Replace(url, "https:", "http:", 1)
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := b.Client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), err
}

// Ask calls the endpoint with the business's token; path goes on after the version.
func (b *Business) Ask(method, path, contentType string, body []byte) (status int, answer string) {
	b.t.Helper()
	status, answer, err := b.Try(b.Token, method, Version+path, contentType, body)
	check(b.t, err)
	return status, answer
}

// Request calls the endpoint about something below the number, without a content type.
func (b *Business) Request(method, path, token string, body []byte) (status int, answer string) {
	b.t.Helper()
	status, answer, err := b.Try(token, method, b.below(path), "", body)
	check(b.t, err)
	return status, answer
}

// Call posts to the endpoint's messages.
func (b *Business) Call(token string, body any) (status int, answer string) {
	b.t.Helper()
	raw, err := json.Marshal(body)
	check(b.t, err)
	status, answer, err = b.Try(token, http.MethodPost, b.below("/messages"), "application/json", raw)
	check(b.t, err)
	return status, answer
}

// below is a path below the number.
func (b *Business) below(path string) string { return Version + "/" + b.NumberID + path }

// Send sends a message and returns its id. The fields are those of the Cloud API's
// request, without the product.
func (b *Business) Send(fields map[string]any) (id string) {
	b.t.Helper()
	fields["messaging_product"] = "whatsapp"
	status, answer := b.Call(b.Token, fields)
	id = MessageID(answer)
	if status != http.StatusOK || id == "" {
		b.t.Fatalf("the endpoint answered %d: %s", status, answer)
	}
	return id
}

// MessageID returns the id in an answer that accepts one message, else an empty string.
func MessageID(answer string) string {
	var accepted struct{ Messages []struct{ ID string } }
	if json.Unmarshal([]byte(answer), &accepted) != nil || len(accepted.Messages) != 1 {
		return ""
	}
	return accepted.Messages[0].ID
}

// Say sends a text and returns the message's id.
func (b *Business) Say(to, text string) string {
	b.t.Helper()
	return b.SayWith(to, text, nil)
}

// SayWith is Say with more fields.
func (b *Business) SayWith(to, text string, fields map[string]any) string {
	b.t.Helper()
	b.Hide(text)
	body := map[string]any{"to": to, "type": "text", "text": map[string]string{"body": text}}
	for name, value := range fields {
		body[name] = value
	}
	return b.Send(body)
}

// SendImage sends a picture that was uploaded and returns the message's id. Without a
// caption there is none.
func (b *Business) SendImage(to, file, caption string) string {
	b.t.Helper()
	image := map[string]string{"id": file}
	if caption != "" {
		image["caption"] = caption
	}
	return b.Send(map[string]any{"to": to, "type": "image", "image": image})
}

// Keep uploads a file and returns its id.
func (b *Business) Keep(mime, content string) string {
	b.t.Helper()
	b.Hide(content)
	status, answer := b.Upload(mime, content)
	var kept struct{ ID string }
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &kept) != nil {
		b.t.Fatalf("uploading a file answers %d %s", status, answer)
	}
	return kept.ID
}

// Upload uploads a file.
func (b *Business) Upload(mime, content string) (status int, answer string) {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(b.t, form.WriteField("messaging_product", "whatsapp"))
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="a file"`}, "Content-Type": {mime},
	})
	check(b.t, err)
	_, err = io.WriteString(part, content)
	check(b.t, errors.Join(err, form.Close()))
	return b.Ask(http.MethodPost, "/"+b.NumberID+"/media", form.FormDataContentType(), body.Bytes())
}
