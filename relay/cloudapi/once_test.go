package cloudapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// remembered are the requests that were done once.
type remembered map[string]struct {
	once   cloudapi.Once
	answer string
}

func (m remembered) Answered(_ context.Context, o cloudapi.Once) (string, error) {
	known, ok := m[o.Key]
	switch {
	case !ok:
		return "", cloudapi.ErrNotAnswered
	case known.once != o:
		return "", cloudapi.ErrOtherBody
	}
	return known.answer, nil
}

func (m remembered) Answer(ctx context.Context, o cloudapi.Once, answer string) (string, error) {
	if first, err := m.Answered(ctx, o); err == nil || err == cloudapi.ErrOtherBody { //nolint:errorlint // it is our own
		return first, err
	}
	m[o.Key] = struct {
		once   cloudapi.Once
		answer string
	}{o, answer}
	return answer, nil
}

// onceService remembers as the relay's service does.
type onceService struct {
	*service
	m remembered
}

func (s onceService) note(ctx context.Context, o *cloudapi.Once, id string, err error) (string, error) {
	if o == nil || err != nil {
		return id, err
	}
	return s.m.Answer(ctx, *o, id)
}

func (s onceService) AcceptText(ctx context.Context, t cloudapi.Text) (string, error) {
	id, err := s.service.AcceptText(ctx, t)
	return s.note(ctx, t.Once, id, err)
}

func (s onceService) AcceptAttachment(ctx context.Context, a cloudapi.Attachment) (string, error) {
	id, err := s.service.AcceptAttachment(ctx, a)
	return s.note(ctx, a.Once, id, err)
}

func (s onceService) AcceptReaction(ctx context.Context, r cloudapi.Reaction) (string, error) {
	id, err := s.service.AcceptReaction(ctx, r)
	return s.note(ctx, r.Once, id, err)
}

func (s onceService) MarkRead(ctx context.Context, r cloudapi.Read) error {
	err := s.service.MarkRead(ctx, r)
	_, err = s.note(ctx, r.Once, "", err)
	return err
}

func (s onceService) Find(ctx context.Context, user string) (phone.Number, error) {
	if s.err != nil {
		return phone.Number{}, cloudapi.ErrUnknownCustomer
	}
	return s.service.Find(ctx, user)
}

// done is how much was done.
func (s onceService) done() int {
	return len(s.texts) + len(s.attachments) + len(s.reactions) + len(s.reads)
}

// keyed sends a request with Idempotency-Keys.
func keyed(h http.Handler, method, path, body string, keys ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header["Idempotency-Key"] = keys
	w := httptest.NewRecorder()
	serve(h, w, r)
	return w
}

func onceAPI(t *testing.T) (onceService, *cloudapi.API) {
	t.Helper()
	s := onceService{&service{}, remembered{}}
	o := options(t, s)
	o.Requests, o.Number.AccountID, o.Encryption, o.Throughput = s.m, account, turnedEncryption(), 80
	a := cloudapi.New(o)
	for _, template := range []string{plants, withHeader("IMAGE"), withHeader("VIDEO"), withHeader("DOCUMENT"), withHeader("LOCATION")} {
		if w := call(a, http.MethodPost, "/"+account+"/message_templates", template); w.Code != http.StatusOK {
			t.Fatalf("the template: %s", w.Body)
		}
	}
	return s, a
}

func TestIdempotencyKey_HasEverySendDoneOnce(t *testing.T) {
	tried := 0
	for _, q := range requests() {
		if !strings.Contains(q.path, "/messages") {
			continue
		}
		tried++
		s, a := onceAPI(t)
		first := keyed(a, q.method, "/v23.0"+q.path, q.body, "order 7")
		if first.Code != http.StatusOK || s.done() != 1 {
			t.Errorf("%s: %d %s", q.name, first.Code, first.Body)
			continue
		}
		// Neither the customer nor the template have to be there any more.
		s.err, s.templates = cloudapi.ErrUnavailable, nil
		again := keyed(a, q.method, "/v27.0"+q.path+"?access_token="+token, q.body, "order 7")
		if again.Code != http.StatusOK || again.Body.String() != first.Body.String() || s.done() != 1 {
			t.Errorf("%s, again: %d %s, done %d times; at first %s", q.name, again.Code, again.Body, s.done(), first.Body)
		}
		s.err = nil
		var body map[string]any
		if err := json.Unmarshal([]byte(q.body), &body); err != nil {
			t.Fatal(err)
		}
		body["biz_opaque_callback_data"] = "another"
		if contents, ok := body["encrypted_contents"].(string); ok {
			body["encrypted_contents"] = turned(strings.Replace(turned(contents), `"x"`, `"y"`, 1))
		}
		other, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		w := keyed(a, q.method, "/v23.0"+q.path, string(other), "order 7")
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "Idempotency-Key") || s.done() != 1 {
			t.Errorf("%s, another body: %d %s, done %d times", q.name, w.Code, w.Body, s.done())
		}
		if w := keyed(a, q.method, "/v23.0"+q.path, q.body, "order 8"); q.name != "template" && !strings.HasPrefix(q.name, "template ") && (w.Code != http.StatusOK || s.done() != 2) {
			t.Errorf("%s, another key: %d %s, done %d times", q.name, w.Code, w.Body, s.done())
		}
	}
	if tried < 15 {
		t.Errorf("only %d kinds of requests were tried", tried)
	}
	_, a := onceAPI(t)
	body := `{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"x"}}`
	keyed(a, http.MethodPost, messages, body, "k")
	golden(t, "once-other-body", keyed(a, http.MethodPost, messages, strings.Replace(body, `"x"`, `"y"`, 1), "k"))
}

// What was refused is not remembered: it may be mended and sent again.
func TestIdempotencyKey_OfWhatWasRefusedIsFree(t *testing.T) {
	s, a := onceAPI(t)
	if w := keyed(a, http.MethodPost, messages, `{"messaging_product":"whatsapp","to":"16505551234","text":{}}`, "k"); w.Code != http.StatusBadRequest {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := keyed(a, http.MethodPost, messages, `{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"x"}}`, "k"); w.Code != http.StatusOK || s.done() != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestIdempotencyKey_BadOnesAreRefused(t *testing.T) {
	body := `{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"x"}}`
	for name, keys := range map[string][]string{
		"empty": {""}, "too long": {strings.Repeat("k", 256)}, "not ASCII": {"Bestellung für Anna"}, "a control character": {"a\tb"}, "a NUL": {"a\x00"}, "two": {"a", "b"},
	} {
		s, a := onceAPI(t)
		for path, body := range map[string]string{
			messages: body, messages + "_encrypted": encryptedBody(t, body), "/v23.0/" + numberID + "/media": "no form",
		} {
			w := keyed(a, http.MethodPost, path, body, keys...)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "Idempotency-Key") || !strings.Contains(w.Body.String(), `"code":100`) || s.done() != 0 {
				t.Errorf("%s, %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
	s, a := onceAPI(t)
	for _, key := range []string{strings.Repeat("~", 255), ` `, `"8e03978e-40d5-43dd-bc93-6894a57f9324"`} {
		if w := keyed(a, http.MethodPost, messages, body, key); w.Code != http.StatusOK {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	}
	if s.done() != 3 {
		t.Errorf("%d were sent", s.done())
	}
}

// namedFiles gives each file its own id.
type namedFiles struct {
	onceService
	n *int
}

func (s namedFiles) StoreFile(ctx context.Context, f cloudapi.NewFile) (string, error) {
	id, err := s.service.StoreFile(ctx, f)
	*s.n++
	own := id[:len(id)-1] + string(rune('0'+*s.n))
	stored := s.files[id]
	delete(s.files, id)
	stored.ID = own
	s.files[own] = stored
	return own, err
}

func TestIdempotencyKey_HasAnUploadDoneOnce(t *testing.T) {
	s := namedFiles{onceService{&service{}, remembered{}}, new(int)}
	o := options(t, s)
	o.Requests = s.m
	a := cloudapi.New(o)
	uploads := func(key, name, content string) (int, string) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body) // with another boundary each time
		_ = w.WriteField("messaging_product", "whatsapp")
		part, _ := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`}, "Content-Type": {"text/plain"}})
		_, _ = part.Write([]byte(content))
		_ = w.Close()
		r := httptest.NewRequest(http.MethodPost, "/v23.0/"+numberID+"/media", &body)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", w.FormDataContentType())
		r.Header.Set("Idempotency-Key", key)
		answer := httptest.NewRecorder()
		serve(a, answer, r)
		var id struct{ ID string }
		_ = json.Unmarshal(answer.Body.Bytes(), &id)
		return answer.Code, id.ID
	}
	status, first := uploads("k", "a.txt", "content")
	if status != http.StatusOK || first == "" {
		t.Fatalf("%d", status)
	}
	if status, id := uploads("k", "a.txt", "content"); status != http.StatusOK || id != first {
		t.Errorf("again: %d, %s; at first %s", status, id, first)
	}
	for _, other := range [][2]string{{"a.txt", "other"}, {"b.txt", "content"}} {
		if status, _ := uploads("k", other[0], other[1]); status != http.StatusConflict {
			t.Errorf("another file: %d", status)
		}
	}
	if len(s.files) != 1 || s.files[first].ID != first {
		t.Errorf("%d files are kept", len(s.files))
	}
	if status, id := uploads("l", "a.txt", "content"); status != http.StatusOK || id == first || len(s.files) != 2 {
		t.Errorf("another key: %d, %d files", status, len(s.files))
	}
	body := `{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"x"}}`
	if w := keyed(a, http.MethodPost, messages, body, "k"); w.Code != http.StatusConflict {
		t.Errorf("a message with an upload's key: %d %s", w.Code, w.Body)
	}
}
