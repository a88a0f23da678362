package cloudapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/proof"
)

// memory is a storage of tokens.
type memory struct{ list []byte }

func (m *memory) Load(context.Context) ([]byte, error) { return m.list, nil }

func (m *memory) Save(_ context.Context, list []byte, _ bool) error {
	m.list = list
	return nil
}

// nothing is a Service, and Customers, that no request reaches in these tests.
type nothing struct {
	Service
	Customers
}

const (
	ownToken = "own token"
	testID   = "106540352242922"
	testWABA = "102290129340398"

	testTemplate = "572279198452421"
)

// withTokens returns an API with named tokens, whose time is that of now.
func withTokens(t *testing.T, now *time.Time) *API {
	t.Helper()
	number, err := phone.Parse("+15550783881")
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return *now }
	return New(Options{
		Service: nothing{}, Customers: nothing{}, DeadLetters: noLetters{}, Ledger: noLog{}, Canaries: noCanary{}, Number: Number{ID: testID, AccountID: testWABA, Phone: number, Name: "Lucky Shrub"},
		Token: ownToken, Tokens: access.New(&memory{}, clock), Throughput: 80, Now: clock,
	})
}

// noLog is a log without any file.
type noLog struct{}

func (noLog) Header(context.Context) (proof.Header, error) {
	return proof.Header{Log: "relaykeep.dev/log/1"}, nil
}
func (noLog) Checkpoint(context.Context) ([]byte, error)   { return nil, ErrNoLogFile }
func (noLog) Tile(context.Context, string) ([]byte, error) { return nil, ErrNoLogFile }

// noCanary is a relay without one.
type noCanary struct{}

func (noCanary) Announce(context.Context, phone.Number) (Canary, error) {
	return Canary{}, ErrCanaryTaken
}
func (noCanary) Announced(context.Context) (Canary, error) { return Canary{}, ErrNoCanary }
func (noCanary) End(context.Context) error                 { return ErrNoCanary }

// noLetters are the dead letters of a relay that has none.
type noLetters struct{}

func (noLetters) DeadLetters(context.Context, DeadLetterPlace, int) ([]DeadLetter, error) {
	return nil, nil
}
func (noLetters) Replay(context.Context, []int64) error  { return ErrUnknownLetter }
func (noLetters) ReplayAll(context.Context) (int, error) { return 0, nil }

// failure is the API's error in an answer; zero for none.
type failure struct {
	Code    int    `json:"code"`
	Subcode int    `json:"error_subcode"`
	Message string `json:"message"`
	Data    struct {
		Details string `json:"details"`
	} `json:"error_data"`
}

// asks sends a request with a token, and decodes the answer into out unless that is nil.
func asks(t *testing.T, h http.Handler, token, method, path, body string, out any) (int, failure) {
	t.Helper()
	r := httptest.NewRequest(method, "/v25.0/"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	Checked(h).ServeHTTP(w, r)
	var answer struct {
		Error failure `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if out != nil && answer.Error == (failure{}) {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, answer.Error
}

// made makes a named token over HTTP.
func made(t *testing.T, h http.Handler, body string) shownToken {
	t.Helper()
	var token shownToken
	if status, failed := asks(t, h, ownToken, http.MethodPost, testID+"/access_tokens", body, &token); status != http.StatusOK || token.Token == "" {
		t.Fatalf("%d: %+v", status, failed)
	}
	return token
}

// path returns a path that belongs to the route.
func (t route) path() string {
	object := map[objectKind]string{
		theNumber: testID, theAccount: testWABA, aFile: "17", aHistory: "17", aTemplate: testTemplate, anAddress: "media", theCaller: "me", aToken: "debug_token",
	}[t.object]
	edge := t.edge
	if strings.HasSuffix(edge, "/") || t.object == anAddress {
		edge += "1"
	}
	return strings.TrimSuffix(object+"/"+edge, "/")
}

// TestScopes_HoldOnEveryRoute has what each route asks for, so that no new one is served without a decision.
func TestScopes_HoldOnEveryRoute(t *testing.T) {
	now := time.Now()
	a := withTokens(t, &now)
	wants := map[string]access.Scope{
		"POST number/messages":                 access.Send,
		"POST number/messages_encrypted":       access.Send,
		"GET number/settings":                  anyToken,
		"POST number/settings":                 access.Admin,
		"GET number/block_users":               access.Read,
		"POST number/block_users":              access.Send,
		"DELETE number/block_users":            access.Send,
		"POST number/media":                    access.Media,
		"GET file":                             access.Media,
		"DELETE file":                          access.Media,
		"any media/1":                          access.Media,
		"GET number/customers":                 access.Admin,
		"any number/customers/1":               access.Admin,
		"GET number":                           access.Read,
		"POST number":                          access.Admin,
		"GET number/whatsapp_business_profile": access.Read, "POST number/whatsapp_business_profile": access.Admin,
		"GET number/message_history":       access.Read,
		"GET file/events":                  access.Read,
		"GET account":                      access.Read,
		"GET account/phone_numbers":        access.Read,
		"GET account/subscribed_apps":      access.Read,
		"POST account/subscribed_apps":     access.Read,
		"GET account/message_templates":    access.Read,
		"POST account/message_templates":   access.Templates,
		"DELETE account/message_templates": access.Templates,
		"GET template":                     access.Read,
		"POST template":                    access.Templates,
		"GET number/dead_letters":          access.Read,
		"POST number/dead_letters":         access.Admin,
		"GET number/log/1":                 access.Audit,
		"GET number/canary":                ownerOnly,
		"POST number/canary":               ownerOnly,
		"DELETE number/canary":             ownerOnly,
		"GET number/access_tokens":         ownerOnly,
		"POST number/access_tokens":        ownerOnly,
		"DELETE number/access_tokens/1":    ownerOnly,
		"GET me":                           anyToken,
		"GET me/permissions":               anyToken,
		"GET debug_token":                  anyToken,
	}
	names := strings.NewReplacer(testID, "number", testWABA, "account", "17", "file", testTemplate, "template")
	tokens := map[access.Scope]string{}
	for _, s := range access.Scopes() {
		tokens[s] = made(t, a, `{"name":"only-`+string(s)+`","scopes":["`+string(s)+`"]}`).Token
	}
	all := made(t, a, `{"name":"all","scopes":["send","read","media","templates","audit","admin"]}`).Token
	for _, r := range routes() {
		method := r.method
		if method == "" {
			method = "any"
		}
		name := method + " " + names.Replace(r.path())
		want, decided := wants[name]
		if !decided {
			t.Errorf("%s: nobody decided which scope it asks for", name)
			continue
		}
		delete(wants, name)
		if method == "any" {
			method = http.MethodGet
		}
		for s, token := range tokens {
			if s == want || want == anyToken {
				continue // what it does then is for other tests
			}
			status, failed := asks(t, a, token, method, r.path(), "", nil)
			if status != http.StatusForbidden || failed.Code != CodeAccess || want != ownerOnly && !strings.Contains(failed.Data.Details, string(want)) {
				t.Errorf("%s with %s: %d, %+v", name, s, status, failed)
			}
		}
		if want != ownerOnly {
			continue
		}
		if status, _ := asks(t, a, all, method, r.path(), "", nil); status != http.StatusForbidden {
			t.Errorf("%s with all scopes: %d", name, status)
		}
	}
	for name := range wants {
		t.Errorf("%s is not served", name)
	}
}

// The guides hand out these scopes: what the tools call must not need more.
func TestScopes_OfTheGuidesAreEnough(t *testing.T) {
	bot := []string{
		"POST " + testID + "/messages", "POST " + testID + "/media", "GET 17", "GET " + testID, "GET debug_token",
		"GET " + testWABA + "/phone_numbers", "GET " + testWABA + "/subscribed_apps", "POST " + testWABA + "/subscribed_apps",
	}
	inbox := append([]string{
		"GET " + testWABA, "GET " + testWABA + "/message_templates", "POST " + testWABA + "/message_templates", "DELETE " + testWABA + "/message_templates",
	}, bot...)
	allowed := func(call string, scopes []access.Scope) bool {
		method, path, _ := strings.Cut(call, " ")
		_, object, edge := split("/v25.0/" + path)
		i := slices.IndexFunc(routes(), func(r route) bool {
			_, ok := r.matches(Number{ID: testID, AccountID: testWABA}, method, object, edge)
			return ok
		})
		return i >= 0 && caller{named: access.Token{Scopes: scopes}}.allows(routes()[i].scope)
	}
	for _, call := range inbox {
		if !allowed(call, []access.Scope{access.Send, access.Read, access.Media, access.Templates}) {
			t.Errorf("Chatwoot may not call %s", call)
		}
	}
	for _, call := range bot {
		if !allowed(call, []access.Scope{access.Send, access.Read, access.Media}) {
			t.Errorf("Typebot may not call %s", call)
		}
	}
}

func TestNamedToken_WorksUntilItIsRevokedOrEnds(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := withTokens(t, &now)
	token := made(t, a, `{"name":"chatwoot","scopes":["read"],"expires_in":"3600"}`)
	other := made(t, a, `{"name":"n8n","scopes":["send","read"]}`)
	if token.Expires != now.Unix()+3600 || other.Expires != 0 {
		t.Errorf("they end at %d and %d", token.Expires, other.Expires)
	}
	reads := func(secret string) (int, failure) {
		return asks(t, a, secret, http.MethodGet, testID, "", nil)
	}
	if status, failed := reads(token.Token); status != http.StatusOK {
		t.Errorf("a token is refused: %+v", failed)
	}
	var list struct{ Data []shownToken }
	if status, _ := asks(t, a, ownToken, http.MethodGet, testID+"/access_tokens", "", &list); status != http.StatusOK || len(list.Data) != 2 ||
		list.Data[0].LastUsed != "2026-03-01" || list.Data[1].LastUsed != "" || list.Data[0].Token != "" {
		t.Errorf("listed are %+v", list)
	}
	info := func(asker, about string) (d struct{ Data tokenInfo }) {
		asks(t, a, asker, http.MethodGet, "debug_token?input_token="+url.QueryEscape(about), "", &d)
		return d
	}
	if d := info(other.Token, token.Token).Data; !d.IsValid || *d.ExpiresAt != token.Expires || strings.Join(d.Scopes, " ") != "whatsapp_business_management" {
		t.Errorf("it is described as %+v", d)
	}
	now = now.Add(time.Hour)
	if status, failed := reads(token.Token); status != http.StatusUnauthorized || failed.Code != CodeToken || failed.Subcode != subcodeExpired {
		t.Errorf("an expired token: %d, %+v", status, failed)
	}
	if d := info(other.Token, token.Token).Data; d.IsValid || d.Error == nil || d.Error.Code != CodeToken {
		t.Errorf("an expired one is described as %+v", d)
	}
	if status, _ := asks(t, a, ownToken, http.MethodDelete, testID+"/access_tokens/n8n", "", nil); status != http.StatusOK {
		t.Errorf("revoking: %d", status)
	}
	if status, failed := reads(other.Token); status != http.StatusUnauthorized || failed.Code != CodeToken || failed.Subcode != 0 {
		t.Errorf("a revoked token: %d, %+v", status, failed)
	}
	if status, failed := asks(t, a, ownToken, http.MethodDelete, testID+"/access_tokens/n8n", "", nil); status != http.StatusBadRequest || failed.Code != CodeInvalidParameter {
		t.Errorf("revoking again: %d, %+v", status, failed)
	}
}

// TestNamedToken_OfTheCallersOwn adds a token by its hash, as for all relays of a business account.
func TestNamedToken_OfTheCallersOwn(t *testing.T) {
	now := time.Now()
	a := withTokens(t, &now)
	secret, hash := access.NewSecret()
	body := fmt.Sprintf(`{"name":"inbox","scopes":["read"],"sha256":"%x"}`, hash)
	var added shownToken
	if status, failed := asks(t, a, ownToken, http.MethodPost, testID+"/access_tokens", body, &added); status != http.StatusOK || added.Name != "inbox" || added.Token != "" {
		t.Fatalf("%d: %+v, %+v", status, failed, added)
	}
	if status, failed := asks(t, a, secret, http.MethodGet, testID, "", nil); status != http.StatusOK {
		t.Errorf("with the token: %d: %+v", status, failed)
	}
	other := strings.Replace(body, "inbox", "other", 1)
	if status, failed := asks(t, a, ownToken, http.MethodPost, testID+"/access_tokens", other, nil); status != http.StatusBadRequest || failed.Code != CodeInvalidParameter {
		t.Errorf("a second name for it: %d: %+v", status, failed)
	}
}

func TestNamedToken_ThatCannotBeMadeSaysWhichParameter(t *testing.T) {
	now := time.Now()
	a := withTokens(t, &now)
	for body, param := range map[string]string{
		`{"scopes":["send"]}`:                                   "name",
		`{"name":"A","scopes":["send"]}`:                        "name",
		`{"name":"a"}`:                                          "scopes",
		`{"name":"a","scopes":["all"]}`:                         "scopes",
		`{"name":"a","scopes":["send"],"expires_in":-1}`:        "",
		`{"name":"a","scopes":["send"],"expires_in":"90d"}`:     "expires_in",
		`{"name":"a","scopes":["send"],"expires_in":400000000}`: "expires_in",
		`{"name":["a"],"scopes":["send"]}`:                      "",
		`{"name":"a","scopes":["send"],"sha256":"ab"}`:          "sha256",
		`{"name":"a","scopes":["send"],"sha256":"secret"}`:      "sha256",

		`{"name":"a","scopes":["send"],"sha256":"` + strings.Repeat("0f", 32) + `x"}`: "sha256",
		`{"name":"a","scopes":"send"`: "",
	} {
		status, failed := asks(t, a, ownToken, http.MethodPost, testID+"/access_tokens", body, nil)
		if status != http.StatusBadRequest || failed.Code != CodeInvalidParameter || !strings.Contains(failed.Message+failed.Data.Details, param) {
			t.Errorf("%s: %d, %+v", body, status, failed)
		}
	}
	if len(a.Tokens.List()) != 0 {
		t.Errorf("made were %+v", a.Tokens.List())
	}
}
