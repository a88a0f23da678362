package cloudapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/emoji"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	numberID = "106540352242922"
	token    = "EAAGm0PX4ZCpsBAKZC"
	wamid    = "wamid.dGVzdA"
)

// service records what it was asked and answers as told.
type service struct {
	texts       []cloudapi.Text
	attachments []cloudapi.Attachment
	reads       []cloudapi.Read
	reactions   []cloudapi.Reaction
	files       map[string]storedFile
	blocked     []cloudapi.BlockedUser
	templates   []cloudapi.Template
	profile     cloudapi.Profile
	sent        []cloudapi.SentMessage
	counts      []cloudapi.SentCount
	err         error
}

func (s *service) AcceptText(_ context.Context, t cloudapi.Text) (string, error) {
	s.texts = append(s.texts, t)
	return wamid, s.err
}

func (s *service) AcceptReaction(_ context.Context, r cloudapi.Reaction) (string, error) {
	s.reactions = append(s.reactions, r)
	return wamid, s.err
}

func (s *service) MarkRead(_ context.Context, r cloudapi.Read) error {
	s.reads = append(s.reads, r)
	return s.err
}

func mustNumber(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func options(t testing.TB, s cloudapi.Service) cloudapi.Options {
	t.Helper()
	return cloudapi.Options{
		Service: s, Token: token, Throughput: 80,
		Number: cloudapi.Number{ID: numberID, Phone: mustNumber(t, "+15550783881"), Name: "Lucky Shrub"},
	}
}

// call sends one authorised request.
func call(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	serve(h, w, r)
	return w
}

const messages = "/v23.0/" + numberID + "/messages"

var trace = regexp.MustCompile(`"fbtrace_id":"A[A-Za-z0-9_-]{22}"`)

// golden compares an answer with testdata/<name>.txt.
func golden(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	goldenText(t, name, http.StatusText(w.Code)+"\n"+trace.ReplaceAllString(w.Body.String(), `"fbtrace_id":"TRACE"`)+"\n")
}

// goldenText compares a text with testdata/<name>.txt.
func goldenText(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("it differs from %s (-want +got):\n%s", path, diff)
	}
}

func TestAnswersAreTheAPIsToTheByte(t *testing.T) {
	text := func(change string) string {
		return `{"messaging_product":"whatsapp","to":"+16505551234"` + change + `}`
	}
	long := strings.Repeat("ä", cloudapi.MaxTextLength)
	cases := []struct{ name, method, path, body string }{
		{"text", "POST", messages, text(`,"type":"text","text":{"body":"Hello","preview_url":true}`)},
		{"text-without-type", "POST", messages, text(`,"text":{"body":"` + long + `"}`)},
		{"text-without-version", "POST", "/" + numberID + "/messages", text(`,"text":{"body":"Hello"}`)},
		{"text-loose-number", "POST", messages, `{"messaging_product":"whatsapp","to":"1 (650) 555-1234","text":{"body":"x"}}`},
		{"read", "POST", messages, `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}`},
		{"number", "GET", "/v23.0/" + numberID, ""},
		{"number-fields", "GET", "/v23.0/" + numberID + "?fields=id,status,throughput,platform_type", ""},
		{"number-unknown-field", "GET", "/v23.0/" + numberID + "?fields=owner", ""},
		{"not-json", "POST", messages, `to=16505551234`},
		{"empty", "POST", messages, ``},
		{"wrong-type-of-field", "POST", messages, text(`,"text":{"body":5}`)},
		{"no-product", "POST", messages, `{"to":"+16505551234"}`},
		{"other-product", "POST", messages, `{"messaging_product":"mail"}`},
		{"no-recipient", "POST", messages, `{"messaging_product":"whatsapp","text":{"body":"x"}}`},
		{"user-id-recipient", "POST", messages, `{"messaging_product":"whatsapp","recipient":"` + sheena + `","text":{"body":"x"}}`},
		{"user-id-of-nobody", "POST", messages, `{"messaging_product":"whatsapp","recipient":"US.1","text":{"body":"x"}}`},
		{"user-id-that-is-none", "POST", messages, `{"messaging_product":"whatsapp","recipient":"+16505551234","text":{"body":"x"}}`},
		{"user-id-in-to", "POST", messages, `{"messaging_product":"whatsapp","to":"` + sheena + `","text":{"body":"x"}}`},
		{"user-id-beside-to", "POST", messages, text(`,"recipient":"` + anna + `","text":{"body":"x"}`)},
		{"user-id-that-is-none-beside-to", "POST", messages, text(`,"recipient":"US.","text":{"body":"x"}`)},
		{"bad-recipient", "POST", messages, `{"messaging_product":"whatsapp","to":"123","text":{"body":"x"}}`},
		{"group", "POST", messages, text(`,"recipient_type":"group","text":{"body":"x"}`)},
		{"no-text", "POST", messages, text(`,"type":"text"`)},
		{"empty-text", "POST", messages, text(`,"text":{"body":""}`)},
		{"text-too-long", "POST", messages, text(`,"text":{"body":"` + long + `ä"}`)},
		{"unsupported-type", "POST", messages, text(`,"type":"template","template":{"name":"hello"}`)},
		{"reaction", "POST", messages, text(`,"type":"reaction","reaction":{"message_id":"wamid.q","emoji":"\ud83d\udc4d"}`)},
		{"no-reaction", "POST", messages, text(`,"type":"reaction"`)},
		{"reaction-to-nothing", "POST", messages, text(`,"type":"reaction","reaction":{"emoji":"👍"}`)},
		{"reaction-without-emoji", "POST", messages, text(`,"type":"reaction","reaction":{"message_id":"wamid.q"}`)},
		{"reaction-of-words", "POST", messages, text(`,"type":"reaction","reaction":{"message_id":"wamid.q","emoji":"ok"}`)},
		{"reaction-to-a-long-id", "POST", messages, text(`,"type":"reaction","reaction":{"message_id":"` + strings.Repeat("x", 129) + `","emoji":""}`)},
		{"image", "POST", messages, text(`,"type":"image","image":{"id":"1037543291543636","caption":"Hello"}`)},
		{"document-by-link", "POST", messages, text(`,"type":"document","document":{"link":"https://shop.test/a.pdf","filename":"a.pdf"}`)},
		{"no-image", "POST", messages, text(`,"type":"image"`)},
		{"image-without-file", "POST", messages, text(`,"type":"image","image":{}`)},
		{"image-twice", "POST", messages, text(`,"type":"image","image":{"id":"1","link":"https://shop.test/a.jpg"}`)},
		{"image-of-no-id", "POST", messages, text(`,"type":"image","image":{"id":"../1"}`)},
		{"image-link-of-a-file", "POST", messages, text(`,"type":"image","image":{"link":"file:///etc/passwd"}`)},
		{"image-caption-too-long", "POST", messages, text(`,"type":"image","image":{"id":"1","caption":"` + strings.Repeat("ä", 1025) + `"}`)},
		{"sticker-with-caption", "POST", messages, text(`,"type":"sticker","sticker":{"id":"1","caption":"x"}`)},
		{"to-self", "POST", messages, `{"messaging_product":"whatsapp","to":"15550783881","text":{"body":"x"}}`},
		{"opaque-too-long", "POST", messages, text(`,"text":{"body":"x"},"biz_opaque_callback_data":"` + strings.Repeat("x", 513) + `"`)},
		{"identity-hash-too-long", "POST", messages, text(`,"text":{"body":"x"},"recipient_identity_key_hash":"` + strings.Repeat("x", 129) + `"`)},
		{"identity-hash-of-reaction", "POST", messages, text(`,"type":"reaction","reaction":{"message_id":"wamid.x","emoji":"❤"},"recipient_identity_key_hash":"DF2lS5v2W6x="`)},
		{"identity-hash", "POST", messages, text(`,"text":{"body":"x"},"recipient_identity_key_hash":"DF2lS5v2W6x="`)},
		{"read-without-message", "POST", messages, `{"messaging_product":"whatsapp","status":"read"}`},
		{"other-status", "POST", messages, `{"messaging_product":"whatsapp","status":"deleted","message_id":"wamid.x"}`},
		{"other-typing", "POST", messages, `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x","typing_indicator":{"type":"audio"}}`},
		{"unknown-number", "POST", "/v23.0/999/messages", text(`,"text":{"body":"x"}`)},
		{"unknown-edge", "GET", "/v23.0/" + numberID + "/media", ""},
		{"unknown-path", "GET", "/some/where/else/entirely", ""},
		{"too-large", "POST", messages, strings.Repeat(" ", cloudapi.MaxBody+1)},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			golden(t, tc.name, call(cloudapi.New(options(t, &service{})), tc.method, tc.path, tc.body))
		})
	}
}

func TestServiceErrorsBecomeTheAPIs(t *testing.T) {
	cases := map[string]error{
		"unknown-message": cloudapi.ErrUnknownMessage,
		"unavailable":     cloudapi.ErrUnavailable,
		"recipient-full":  cloudapi.ErrRecipientFull,
		"opted-out":       cloudapi.ErrOptedOut,
		"spam-slowed":     &cloudapi.LimitError{Wait: 345600 * time.Millisecond},
		"spam-held":       &cloudapi.LimitError{Held: true, Wait: time.Hour},
		"internal":        errors.New("a reason that is for the log only"),
	}
	for name, err := range cases {
		t.Run(name, func(t *testing.T) {
			api := cloudapi.New(options(t, &service{err: err}))
			golden(t, name, call(api, "POST", messages, `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}`))
		})
	}
}

func TestTextReachesTheServiceWhole(t *testing.T) {
	s := &service{}
	call(cloudapi.New(options(t, s)), "POST", messages, `{"messaging_product":"whatsapp","recipient_type":"individual",
		"to":"16505551234","type":"text","text":{"body":"Grüße \u2764"},"context":{"message_id":"wamid.q"},"biz_opaque_callback_data":"order 7","recipient_identity_key_hash":"DF2lS5v2W6x="}`)
	want := []cloudapi.Text{{To: mustNumber(t, "+16505551234"), Body: "Grüße ❤", ReplyTo: "wamid.q", Opaque: "order 7", IdentityHash: "DF2lS5v2W6x="}}
	if diff := cmp.Diff(want, s.texts, cmp.Comparer(func(a, b phone.Number) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// A message of any type but a reaction goes to the identity key that the business named.
func TestIdentityHashReachesTheServiceWithEachType(t *testing.T) {
	const hash = "DF2lS5v2W6x="
	w := templates(t)
	w.create(`{"name":"welcome","language":"en_US","category":"UTILITY","components":[{"type":"BODY","text":"Hello"}]}`)
	w.create(`{"name":"photo","language":"en_US","category":"UTILITY","components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Look"}]}`)
	bodies := []string{
		`"type":"image","image":{"id":"1"}`, `"type":"location","location":{"latitude":1.5,"longitude":2}`,
		`"type":"contacts","contacts":[{"name":{"formatted_name":"x"}}]`,
		`"type":"interactive","interactive":{"type":"button","body":{"text":"Well?"},"action":{"buttons":[{"type":"reply","reply":{"id":"y","title":"Yes"}}]}}`,
		`"type":"template","template":{"name":"welcome","language":{"code":"en_US"}}`,
		`"type":"template","template":{"name":"photo","language":{"code":"en_US"},"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]}]}`,
	}
	for _, body := range bodies {
		if a := call(w.api, http.MethodPost, messages, `{"messaging_product":"whatsapp","to":"16505551234","recipient_identity_key_hash":"`+hash+`",`+body+`}`); a.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", body, a.Code, a.Body)
		}
	}
	named := 0
	for _, m := range w.s.texts {
		if m.IdentityHash == hash {
			named++
		}
	}
	for _, m := range w.s.attachments {
		if m.IdentityHash == hash {
			named++
		}
	}
	if named != len(bodies) {
		t.Errorf("%d of %d name the key", named, len(bodies))
	}
}

func TestReactionReachesTheServiceAlsoToBeRemoved(t *testing.T) {
	s := &service{}
	for _, symbol := range []string{`\ud83d\udc4d\ud83c\udffd`, ""} {
		call(cloudapi.New(options(t, s)), "POST", messages, `{"messaging_product":"whatsapp","to":"16505551234","type":"reaction",
			"context":null,"reaction":{"message_id":"wamid.q","emoji":"`+symbol+`"},"biz_opaque_callback_data":"order 7"}`)
	}
	to := mustNumber(t, "+16505551234")
	want := []cloudapi.Reaction{{To: to, MessageID: "wamid.q", Emoji: "👍🏽", Opaque: "order 7"}, {To: to, MessageID: "wamid.q", Opaque: "order 7"}}
	if diff := cmp.Diff(want, s.reactions, cmp.Comparer(func(a, b phone.Number) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestReadReachesTheServiceWithTyping(t *testing.T) {
	s := &service{}
	call(cloudapi.New(options(t, s)), "POST", messages,
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x","typing_indicator":{"type":"text"}}`)
	if diff := cmp.Diff([]cloudapi.Read{{MessageID: "wamid.x", Typing: true}}, s.reads); diff != "" {
		t.Error(diff)
	}
}

func TestToken_OnlyTheRightOneIsAccepted(t *testing.T) {
	cases := []struct {
		name, header, query string
		status              int
	}{
		{"bearer", "Bearer " + token, "", 200},
		{"bearer in lower case", "bearer " + token, "", 200},
		{"OAuth scheme", "OAuth " + token, "", 200},
		{"query", "", "?access_token=" + token, 200},
		{"none", "", "", 401},
		{"empty bearer", "Bearer ", "", 401},
		{"wrong", "Bearer " + token + "x", "", 401},
		{"prefix", "Bearer " + token[:len(token)-1], "", 401},
		{"wrong in query", "", "?access_token=x", 401},
		{"other scheme", "Basic " + token, "", 401},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/v23.0/"+numberID+tc.query, nil)
			r.Header.Set("Authorization", tc.header)
			w := httptest.NewRecorder()
			serve(cloudapi.New(options(t, &service{})), w, r)
			if w.Code != tc.status {
				t.Errorf("status %d, want %d", w.Code, tc.status)
			}
			if tc.status == 401 && !strings.Contains(w.Body.String(), `"code":190`) {
				t.Errorf("answer %s, want code 190", w.Body)
			}
		})
	}
}

func TestToken_MissingHidesEveryObject(t *testing.T) {
	api := cloudapi.New(options(t, &service{}))
	for _, path := range []string{messages, "/v23.0/999/messages", "/"} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", path, w.Code)
		}
	}
}

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func sendTo(api http.Handler, to string) *httptest.ResponseRecorder {
	return call(api, "POST", messages, `{"messaging_product":"whatsapp","to":"`+to+`","text":{"body":"x"}}`)
}

func TestThroughputIsLimitedAndRecovers(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	o := options(t, &service{})
	o.Throughput, o.Now = 2, c.Now
	api := cloudapi.New(o)
	sendTo(api, "16505550001")
	sendTo(api, "16505550002")
	w := sendTo(api, "16505550003")
	golden(t, "throughput", w)
	if got := w.Header().Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q, want 1", got)
	}
	c.now = c.now.Add(time.Second)
	if w := sendTo(api, "16505550003"); w.Code != 200 {
		t.Errorf("status %d after the wait, want 200", w.Code)
	}
}

func TestPairRateAllowsABurstOf45ThenOneInSixSeconds(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	o := options(t, &service{})
	o.Now = c.Now
	api := cloudapi.New(o)
	for i := range 45 {
		if w := sendTo(api, "16505551234"); w.Code != 200 {
			t.Fatalf("message %d: status %d", i+1, w.Code)
		}
	}
	w := sendTo(api, "16505551234")
	golden(t, "pair-rate", w)
	if got := w.Header().Get("Retry-After"); got != "6" {
		t.Errorf("Retry-After %q, want 6", got)
	}
	if w := sendTo(api, "16505559999"); w.Code != 200 {
		t.Errorf("another customer: status %d, want 200", w.Code)
	}
	c.now = c.now.Add(6 * time.Second)
	if w := sendTo(api, "16505551234"); w.Code != 200 {
		t.Errorf("after six seconds: status %d, want 200", w.Code)
	}
	if w := sendTo(api, "16505551234"); w.Code != cloudapi.ThrottledStatus {
		t.Errorf("at once again: status %d, want %d", w.Code, cloudapi.ThrottledStatus)
	}
}

func TestPairRate_IsNotThatOfATimeThatTheClockWasSetBackFrom(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	o := options(t, &service{})
	o.Now = c.Now
	api := cloudapi.New(o)
	for _, back := range []time.Duration{0, time.Hour, 100 * 24 * time.Hour} {
		c.now = c.now.Add(-back)
		if w := sendTo(api, "16505551234"); w.Code != 200 {
			t.Errorf("after the clock was set back by %s: status %d, want 200", back, w.Code)
		}
	}
}

// A client that repeats its calls during an outage need not wait after it.
func TestPairRate_DoesNotCountWhatWasRefused(t *testing.T) {
	for kind, message := range map[string]string{
		"text":     `"text":{"body":"x"}`,
		"reaction": `"type":"reaction","reaction":{"message_id":"` + wamid + `","emoji":"👍"}`,
		"file":     `"type":"image","image":{"id":"` + fileID + `"}`,
		"contacts": `"type":"contacts","contacts":[{"name":{"formatted_name":"A","first_name":"B"}}]`,
	} {
		t.Run(kind, func(t *testing.T) {
			c := &clock{time.Unix(1_700_000_000, 0)}
			s := &service{err: cloudapi.ErrUnavailable}
			o := options(t, s)
			o.Now, o.Throughput = c.Now, 1000
			api := cloudapi.New(o)
			send := func() int {
				return call(api, "POST", messages, `{"messaging_product":"whatsapp","to":"16505551234",`+message+`}`).Code
			}
			for i := range 100 {
				if code := send(); code != http.StatusInternalServerError {
					t.Fatalf("call %d of the outage: status %d, want 500", i+1, code)
				}
			}
			s.err = nil
			for i := range 45 {
				if code := send(); code != 200 {
					t.Fatalf("message %d after the outage: status %d, want 200", i+1, code)
				}
			}
			if code := send(); code != cloudapi.ThrottledStatus {
				t.Errorf("the message after these: status %d, want %d", code, cloudapi.ThrottledStatus)
			}
		})
	}
}

func TestHeadersAreThoseOfTheGraphAPI(t *testing.T) {
	h := call(cloudapi.New(options(t, &service{})), "GET", "/v25.0/"+numberID, "").Header()
	if got := h.Get("Facebook-Api-Version"); got != "v25.0" {
		t.Errorf("version %q, want v25.0", got)
	}
	if got := h.Get("Content-Type"); got != "application/json; charset=UTF-8" {
		t.Errorf("content type %q", got)
	}
	if len(h.Get("X-Fb-Trace-Id")) != 23 {
		t.Errorf("trace id %q", h.Get("X-Fb-Trace-Id"))
	}
}

func TestObserveLearnsRouteStatusAndCode(t *testing.T) {
	var route string
	var status, code int
	o := options(t, &service{})
	o.Observe = func(r string, s, c int, _ time.Duration) { route, status, code = r, s, c }
	call(cloudapi.New(o), "POST", messages, "{}")
	if route != "messages" || status != 400 || code != cloudapi.CodeMissingParameter {
		t.Errorf("observed %s %d %d", route, status, code)
	}
}

// FuzzMessages holds that whatever body arrives, the answer is one of the API's and
// the service only ever sees what is valid.
func FuzzMessages(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(`{"messaging_product":"whatsapp","to":"+16505551234","text":{"body":"Hello"}}`)
	f.Add(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x","typing_indicator":{"type":"text"}}`)
	f.Add(`{"messaging_product":"whatsapp","to":"+16505551234","type":"document","document":{"link":"https://a.test/b","filename":"../c"}}`)
	f.Add(`{"messaging_product":"whatsapp","to":"+16505551234","type":"reaction","reaction":{"message_id":"wamid.q","emoji":"👍"}}`)
	f.Add(`[null,{"to":[]}]`)
	f.Add(`messaging_product=whatsapp&to=16505551234&text=%7B%22body%22%3A%22x%22%7D&biz_opaque_callback_data={7}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, contentType := range []string{"application/json", form} {
			checkMessages(t, contentType, body)
		}
	})
}

func checkMessages(t *testing.T, contentType, body string) {
	t.Helper()
	s := &service{}
	w := ask(cloudapi.New(options(t, s)), "POST", messages, contentType, body)
	raw, _ := io.ReadAll(w.Body)
	if !json.Valid(raw) {
		t.Fatalf("answer is no JSON: %q", raw)
	}
	if n := len(s.texts) + len(s.reads) + len(s.attachments) + len(s.reactions); w.Code == 200 && n != 1 {
		t.Fatalf("accepted, but the service was called %d times", n)
	}
	for _, r := range s.reactions {
		if r.To.IsZero() || r.MessageID == "" || len(r.MessageID) > cloudapi.MaxMessageID || r.Emoji != "" && !emoji.Is(r.Emoji) {
			t.Fatal("an invalid reaction reached the service")
		}
	}
	for _, m := range s.attachments {
		if m.To.IsZero() || (m.ID == "") == (m.Link == "") || !m.Kind.Valid() || len([]rune(m.Caption)) > cloudapi.MaxCaption {
			t.Fatal("an invalid file reached the service")
		}
	}
	for _, m := range s.texts {
		if m.To.IsZero() || m.Body == "" || len([]rune(m.Body)) > cloudapi.MaxTextLength || len(m.Opaque) > cloudapi.MaxOpaque {
			t.Fatal("an invalid text reached the service")
		}
	}
}
