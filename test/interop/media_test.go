package interop_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// call calls the endpoint and wants 200.
func (b *business) call(t *testing.T, method, path, contentType string, body io.Reader) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+b.endpoint+path, body)
	check(t, err)
	r.Header.Set("Authorization", "Bearer "+b.token)
	r.Header.Set("Content-Type", contentType)
	response, err := b.client.Do(r)
	check(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	check(t, err)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s answered %d: %s", method, path, response.StatusCode, raw)
	}
	return raw
}

// post sends one request about messages and returns the message's id, if there is one.
func (b *business) post(t *testing.T, body map[string]any) string {
	t.Helper()
	body["messaging_product"] = "whatsapp"
	raw, err := json.Marshal(body)
	check(t, err)
	var answer struct{ Messages []struct{ ID string } }
	check(t, json.Unmarshal(b.call(t, "POST", "/v23.0/"+b.number+"/messages", "application/json", bytes.NewReader(raw)), &answer))
	if len(answer.Messages) == 0 {
		return ""
	}
	return answer.Messages[0].ID
}

// upload hands a file to the relay.
func (b *business) upload(t *testing.T, mime string, content []byte) string {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	check(t, w.WriteField("messaging_product", "whatsapp"))
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="photo"`}, "Content-Type": {mime},
	})
	check(t, err)
	_, err = part.Write(content)
	check(t, err)
	check(t, w.Close())
	var answer struct{ ID string }
	check(t, json.Unmarshal(b.call(t, "POST", "/v23.0/"+b.number+"/media", w.FormDataContentType(), &body), &answer))
	return answer.ID
}

// sendFile sends an uploaded file and returns the message's id.
func (b *business) sendFile(t *testing.T, to, file, caption string) string {
	t.Helper()
	return b.post(t, map[string]any{
		"to": strings.TrimPrefix(to, "+"), "type": "image", "image": map[string]string{"id": file, "caption": caption},
	})
}

// markRead tells a customer that a message was read, and that an answer is coming.
func (b *business) markRead(t *testing.T, id string) {
	t.Helper()
	b.post(t, map[string]any{"status": "read", "message_id": id, "typing_indicator": map[string]string{"type": "text"}})
}

// download fetches a file that a customer sent, by the address that the relay gives.
func (b *business) download(t *testing.T, f webhooktest.File) []byte {
	t.Helper()
	var info struct{ URL string }
	check(t, json.Unmarshal(b.call(t, "GET", "/v23.0/"+f.ID, "", nil), &info))
	_, path, ok := strings.Cut(info.URL, "acme-relay.acme.svc:8443")
	if !ok {
		t.Fatalf("the file is at %s", info.URL)
	}
	content := b.call(t, "GET", path, "", nil)
	sum := sha256.Sum256(content)
	if base64.StdEncoding.EncodeToString(sum[:]) != f.SHA256 {
		t.Error("the file's hash is not the one that the webhook told")
	}
	return content
}

// waitMessage returns the next message at the webhook.
func (b *business) waitMessage(t *testing.T) webhooktest.Update {
	t.Helper()
	select {
	case m := <-b.inbox:
		return m
	case <-time.After(patience):
		t.Fatalf("no message at the webhook within %s", patience)
		return webhooktest.Update{}
	}
}

// counted waits until a metric of the relay's has a value.
func (b *business) counted(t *testing.T, event string, n int) {
	t.Helper()
	want := fmt.Sprintf("relaykeep_messages_total{event=%q} %d", event, n)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		raw, err := fetch(ctx, b.status+"/metrics")
		if err == nil && strings.Contains(string(raw), want) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the relay's metrics do not show %s", want)
		}
	}
}
