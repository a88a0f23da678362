package cloudapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/test/racing"
)

// request is a request that succeeds. Together they have every field that docs/openapi.yaml has in the
// request of a POST or DELETE.
type request struct{ name, method, path, body string }

const (
	toAnna = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"16505551234","recipient":"` + anna + `","context":{"message_id":"wamid.q"},"biz_opaque_callback_data":"7",`
	aHash  = `"recipient_identity_key_hash":"DF2lS5v2W6x=",`
	aFile  = `{"id":"1037543291543636","caption":"A","filename":"a.pdf"}`
	full   = "full_en"
	plants = `{"name":"plants","language":"en_US","category":"UTILITY","parameter_format":"POSITIONAL","components":[` +
		`{"type":"HEADER","format":"TEXT","text":"Hello {{1}}","example":{"header_text":["Pablo"]}},{"type":"BODY","text":"Order {{1}}","example":{"body_text":[["7"]]}},{"type":"FOOTER","text":"Lucky"},` +
		`{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Stop"},{"type":"URL","text":"Track","url":"https://shop.test/{{1}}","example":["https://shop.test/7"]},{"type":"PHONE_NUMBER","text":"Call","phone_number":"15550051310"},{"type":"COPY_CODE","text":"Code","example":"A"}]}]}`
	code = `{"name":"code","language":"en_US","category":"AUTHENTICATION","message_send_ttl_seconds":60,"components":[{"type":"BODY","add_security_recommendation":true},{"type":"FOOTER","code_expiration_minutes":5},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE","text":"Copy"}]}]}`
)

// withHeader is a template with a file or a place, whose name is the format, and with a named value.
func withHeader(format string) string {
	return `{"name":"` + strings.ToLower(format) + `","language":"en_US","category":"UTILITY","parameter_format":"NAMED","components":[{"type":"HEADER","format":"` + format + `"},{"type":"BODY","text":"On {{day}}"}]}`
}

// filled is a message by that template.
func filled(kind, value string) string {
	return aHash + `"type":"template","template":{"name":"` + kind + `","language":{"code":"en_US"},"components":[{"type":"header","parameters":[{"type":"` + kind + `","` + kind + `":` + value + `}]},` +
		`{"type":"body","parameters":[{"type":"date_time","parameter_name":"day","date_time":{"fallback_value":"Monday"}}]}]}`
}

func requests() []request {
	message := func(name, rest string) request {
		return request{name, http.MethodPost, "/" + numberID + "/messages", toAnna + rest + "}"}
	}
	waba := "/" + account
	return []request{
		message("text", aHash+`"type":"text","text":{"body":"x","preview_url":true}`),
		message("image", aHash+`"type":"image","image":`+aFile),
		message("video by link", aHash+`"type":"video","video":{"link":"https://shop.test/a.mp4","caption":"A"}`),
		message("audio", aHash+`"type":"audio","audio":{"id":1037543291543636,"voice":true}`),
		message("document", aHash+`"type":"document","document":`+aFile),
		message("sticker", aHash+`"type":"sticker","sticker":{"id":"1037543291543636"}`),
		message("reaction", `"type":"reaction","reaction":{"message_id":"wamid.q","emoji":"👍"}`),
		message("location", aHash+`"type":"location","location":{"latitude":"1.5","longitude":2.5,"name":"A","address":"B"}`),
		message("contacts", aHash+`"type":"contacts","contacts":[{"name":{"formatted_name":"A","first_name":"B","middle_name":"C","last_name":"D","prefix":"E","suffix":"F"},`+
			`"org":{"company":"A","department":"B","title":"C"},"birthday":"2000-01-31","phones":[{"phone":"+15551234567","wa_id":"15551234567","type":"WORK"}],"emails":[{"email":"a@shop.test","type":"WORK"}],`+
			`"urls":[{"url":"https://shop.test","type":"WORK"}],"addresses":[{"street":"A","city":"B","state":"C","zip":"12345","country":"D","country_code":"de","type":"HOME"}]}]`),
		message("buttons", aHash+`"type":"interactive","interactive":{"type":"button","header":{"type":"text","text":"A"},"body":{"text":"B"},"footer":{"text":"C"},"action":{"buttons":[{"type":"reply","reply":{"id":"y","title":"Yes"}}]}}`),
		message("list", aHash+`"type":"interactive","interactive":{"type":"list","body":{"text":"B"},"action":{"button":"Choose","sections":[{"title":"A","rows":[{"id":"y","title":"Yes","description":"really"}]}]}}`),
		message("link", aHash+`"type":"interactive","interactive":{"type":"cta_url","body":{"text":"B"},"action":{"name":"cta_url","parameters":{"display_text":"See","url":"https://shop.test"}}}`),
		message("asking for a location", aHash+`"type":"interactive","interactive":{"type":"location_request_message","body":{"text":"B"},"action":{"name":"send_location"}}`),
		message("template", aHash+`"type":"template","template":{"name":"plants","language":{"code":"en_US","policy":"deterministic"},"components":[`+
			`{"type":"header","parameters":[{"type":"text","text":"Pablo"}]},{"type":"body","parameters":[{"type":"currency","currency":{"fallback_value":"$ 100","code":"USD","amount_1000":100000}}]},`+
			`{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"stop"}]},{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"7"}]},`+
			`{"type":"button","sub_type":"copy_code","index":"3","parameters":[{"type":"coupon_code","coupon_code":"25OFF"}]}]}`),
		message("template with a picture", filled("image", `{"id":"1037543291543636"}`)),
		message("template with a film", filled("video", `{"link":"https://shop.test/a.mp4"}`)),
		message("template with a document", filled("document", `{"link":"https://shop.test/a.pdf","filename":"a.pdf"}`)),
		message("template with a place", filled("location", `{"latitude":"1.5","longitude":"2.5","name":"A","address":"B"}`)),
		{"read", http.MethodPost, "/" + numberID + "/messages", `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.q","typing_indicator":{"type":"text"}}`},
		{"new template", http.MethodPost, waba + "/message_templates", strings.Replace(plants, `"plants"`, `"trees"`, 1)},
		{"new template with a code", http.MethodPost, waba + "/message_templates", code},
		{"edited template", http.MethodPost, "/200000000000000", `{"category":"UTILITY","parameter_format":"POSITIONAL","components":[{"type":"BODY","text":"Hi"}]}`},
		{"deleted template", http.MethodDelete, waba + "/message_templates", `{"name":"plants","hsm_id":"200000000000000"}`},
		{"profile", http.MethodPost, "/" + numberID + "/whatsapp_business_profile", `{"messaging_product":"whatsapp","about":"A","address":"B","description":"C","email":"a@shop.test","vertical":"RETAIL","websites":["https://shop.test"]}`},
		{"settings", http.MethodPost, "/" + numberID + "/settings", `{"payload_encryption":{"status":"enabled","client_encryption_key":"YnVzaW5lc3MncyBrZXk="}}`},
		{"webhook of the number", http.MethodPost, "/" + numberID, `{"webhook_configuration":{"override_callback_uri":"https://shop.test/in","verify_token":"x"}}`},
		{"webhook of the account", http.MethodPost, waba + "/subscribed_apps", `{"override_callback_uri":"https://shop.test/in","verify_token":"x"}`},
		{"blocking", http.MethodPost, "/" + numberID + "/block_users", `{"messaging_product":"whatsapp","block_users":[{"user":"16505551234"},{"user_id":"` + anna + `"}]}`},
		{"unblocking", http.MethodDelete, "/" + numberID + "/block_users", `{"messaging_product":"whatsapp","block_users":[{"user":"16505551234"},{"user_id":"` + anna + `"}]}`},
		{"encrypted", http.MethodPost, "/" + numberID + "/messages_encrypted", `{"messaging_product":"whatsapp","encrypted_contents":"` + strings.ReplaceAll(turned(`{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"x"}}`), `"`, `\"`) + `"}`},
		{"replay", http.MethodPost, "/" + numberID + "/dead_letters", `{"ids":["7","8"]}`},
		{"replay of all", http.MethodPost, "/" + numberID + "/dead_letters", `{"all":true}`},
		{"canary", http.MethodPost, "/" + numberID + "/canary", `{"number":"+999123456789012"}`},
		{"named token", http.MethodPost, "/" + numberID + "/access_tokens", `{"name":"chatwoot","scopes":["send","read"],"expires_in":3600,"sha256":"` + strings.Repeat("0f", 32) + `"}`},
	}
}

// place is where a value is in a JSON document: names of fields and numbers of entries.
type place []any

// name is the place as errors write it, without numbers.
func (p place) name() string {
	var names []string
	for _, step := range p {
		if s, ok := step.(string); ok {
			names = append(names, s)
		}
	}
	return strings.Join(names, ".")
}

func (p place) last() string {
	name := p.name()
	return name[strings.LastIndex(name, ".")+1:]
}

// places calls fn for every value within a document.
func places(value any, at place, fn func(place, any)) {
	if len(at) > 0 {
		fn(at, value)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			places(v, append(slices.Clone(at), name), fn)
		}
	case []any:
		for i, v := range value {
			places(v, append(slices.Clone(at), i), fn)
		}
	}
}

// removed is what change returns to have a value removed.
type removed struct{}

// changed returns a document in which a value is another.
func changed(t *testing.T, body string, at place, to any) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatal(err)
	}
	var set func(v any, at place) any
	set = func(v any, at place) any {
		if len(at) == 0 {
			return to
		}
		inner := func(old any) any { return set(old, at[1:]) }
		switch v := v.(type) {
		case map[string]any:
			name := at[0].(string)
			if v[name] = inner(v[name]); v[name] == (removed{}) {
				delete(v, name)
			}
			return v
		case []any:
			i := at[0].(int)
			if v[i] = inner(v[i]); v[i] == (removed{}) {
				return slices.Delete(v, i, i+1)
			}
			return v
		}
		return v
	}
	out, err := json.Marshal(set(value, at))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// business is one with templates and named tokens, whose requests are made to fail.
type business struct {
	t      *testing.T
	s      *service
	tokens *tokenMemory
	canary canaries
	dead   *deadLetters
	api    http.Handler
}

func newBusiness(t *testing.T) *business {
	t.Helper()
	b := &business{t: t, s: &service{}, tokens: &tokenMemory{}, dead: &deadLetters{letters: []cloudapi.DeadLetter{letter(7), letter(8)}}}
	o := options(t, b.s)
	o.DeadLetters, o.Canaries = b.dead, &b.canary
	o.Number.AccountID, o.Number.Webhook, o.Encryption, o.Tokens = account, "https://shop.test/in", turnedEncryption(), access.New(b.tokens, time.Now)
	b.api = cloudapi.New(o)
	for _, template := range []string{plants, withHeader("IMAGE"), withHeader("VIDEO"), withHeader("DOCUMENT"), withHeader("LOCATION")} {
		if w := b.sends(http.MethodPost, "/"+account+"/message_templates", template); w.Code != http.StatusOK {
			t.Fatalf("the template: %s", w.Body)
		}
	}
	return b
}

// stored is what the business has stored.
func (b *business) stored() string {
	return fmt.Sprint(b.s.texts, b.s.attachments, b.s.reads, b.s.reactions, b.s.files, b.s.blocked, b.s.templates, b.s.profile, string(b.tokens.list), b.dead.replayed, b.canary.number)
}

// refusal is the error that a request is answered with; zero for none.
type refusal struct {
	status, code int
	details      string
}

// sends sends a request that is not held against the document, which says what is right.
func (b *business) sends(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return w
}

// tries sends a request whose body is another. What it is refused for stores nothing.
func (b *business) tries(q request, body string) (f refusal) {
	b.t.Helper()
	before := b.stored()
	w := b.sends(q.method, "/v27.0"+q.path, body)
	if w.Code == http.StatusOK {
		return refusal{}
	}
	var answer struct {
		Error struct {
			Code int
			Data struct{ Details string } `json:"error_data"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Error.Code == 0 || answer.Error.Data.Details == "" || w.Code < 400 || w.Code >= 500 {
		b.t.Errorf("%s: %s is answered %d %s", q.name, body[:min(len(body), 300)], w.Code, w.Body)
	}
	if partly := answer.Error.Code == cloudapi.CodeBlock; !partly && b.s.err == nil && b.stored() != before {
		b.t.Errorf("%s: %s is refused and stored", q.name, body[:min(len(body), 300)])
	}
	return refusal{w.Code, answer.Error.Code, answer.Error.Data.Details}
}

// trial is one way to make a value bad.
type trial struct {
	what string
	to   any
}

// wrongTypes are values of other types than a value's.
func wrongTypes(value any) []any {
	list, object := []any{1.0}, map[string]any{"a": 1.0}
	switch value.(type) {
	case string, float64:
		return []any{list, object, true}
	case bool:
		return []any{list, object, "x", 7.0}
	case []any:
		return []any{object, "x", 7.0, true}
	}
	return []any{list, "x", 7.0, true}
}

// trials are the other ways to make a value bad.
func trials(at place, value any) (all []trial) {
	if _, entry := at[len(at)-1].(int); !entry {
		all = append(all, trial{"missing", removed{}}, trial{"null", nil})
	}
	switch value.(type) {
	case string:
		all = append(all, trial{"empty", ""}, trial{"too long", strings.Repeat("x", 60_000)}, trial{"another word", "bogus"}, trial{"NUL", "a\x00b"})
	case float64:
		all = append(all, trial{"negative", -1.0}, trial{"huge", 1e300})
	case []any:
		all = append(all, trial{"empty", []any{}})
	}
	return all
}

// misnamed are the fields whose errors name something else, in each with what they name instead.
func misnamed(at place) string {
	switch name := at.name(); {
	case name == "type": // without which it is a text
		return "text"
	case name == "status": // without which it is a message
		return "to"
	case strings.HasPrefix(name, "block_users."): // which names them in failed_users
		return "failed_users"
	case name == "template.components": // as the hosted API names them
		return "header"
	case strings.HasPrefix(name, "template.components.parameters."): // which are too long together
		return "template.components"
	case name == "components.code_expiration_minutes": // in place of which there may be a text
		return "components.text"
	}
	return at.last()
}

func TestBadInput_IsGoodBeforeItIsChanged(t *testing.T) {
	for _, q := range requests() {
		if w := call(newBusiness(t).api, q.method, "/v27.0"+q.path, q.body); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", q.name, w.Code, w.Body)
		}
	}
}

// Every field of every request that docs/openapi.yaml has is refused when it is bad, with the API's code and
// its own name; what becomes of each is in testdata/bad-input.txt.
func TestBadInput_IsRefusedByName(t *testing.T) {
	racing.SkipExhaustive(t)
	outcomes := map[string]string{}
	for _, q := range requests() {
		var value any
		if err := json.Unmarshal([]byte(q.body), &value); err != nil {
			t.Fatal(err)
		}
		places(value, nil, func(at place, old any) {
			b := newBusiness(t)
			if strings.Contains(at.name(), "example.") {
				return // people read it, and it is kept as it is
			}
			for _, to := range wrongTypes(old) {
				f := b.tries(q, changed(t, q.body, at, to))
				if at.last() == "example" || at.last() == "action" && to == "x" { // older clients write the action as a string
					continue
				}
				if f.status != http.StatusBadRequest || f.code != cloudapi.CodeInvalidParameter || !strings.Contains(f.details, at.last()) {
					if fmt.Sprint(old, to) != fmt.Sprint(true, 7.0) {
						t.Errorf("%s: %s of another type (%v): %+v", q.name, at.name(), to, f)
					}
				}
			}
			for _, x := range trials(at, old) {
				b := newBusiness(t)
				f := b.tries(q, changed(t, q.body, at, x.to))
				if f == (refusal{}) {
					continue
				}
				if !strings.Contains(f.details, at.last()) && !strings.Contains(f.details, misnamed(at)) {
					t.Errorf("%s: %s, %s: %+v does not name it", q.name, at.name(), x.what, f)
				}
				if x.what == "null" || x.what == "NUL" {
					continue // as if it was missing, and another word
				}
				outcomes[fmt.Sprintf("%s, %s: %d %d %s", at.name(), x.what, f.status, f.code, f.details)] = ""
			}
		})
	}
	goldenText(t, "bad-input", strings.Join(slices.Sorted(maps.Keys(outcomes)), "\n")+"\n")
}

// The requests that are made bad have every field of the document.
func TestBadInput_IsOfEveryField(t *testing.T) {
	c := &contract{doc: written().doc, wrong: map[string]bool{}, answered: map[string]bool{}, seen: map[property]bool{}}
	for _, q := range requests() {
		op := c.doc.Paths.Value(c.find(q.path)).GetOperation(q.method)
		c.request(q.name, op, httptest.NewRequest(q.method, q.path, nil), []byte(q.body))
	}
	for problem := range c.wrong {
		t.Error(problem)
	}
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil || op.RequestBody.Value.Content["application/json"] == nil {
				continue // an upload's form, of which media_test.go has the bad ones
			}
			for _, field := range c.lacks(op.RequestBody.Value.Content["application/json"].Schema, map[*openapi3.Schema]bool{}) {
				t.Errorf("%s %s may have %s, and no request here has it", method, path, field)
			}
		}
	}
}

// lacks returns the fields of a schema that were not seen.
func (c *contract) lacks(schema *openapi3.SchemaRef, visited map[*openapi3.Schema]bool) (all []string) {
	if schema == nil || visited[schema.Value] {
		return nil
	}
	visited[schema.Value] = true
	for _, one := range slices.Concat(schema.Value.AnyOf, schema.Value.AllOf, openapi3.SchemaRefs{schema.Value.Items}) {
		all = append(all, c.lacks(one, visited)...)
	}
	for name, field := range schema.Value.Properties {
		if !c.seen[property{schema.Value, name}] {
			all = append(all, refName(schema)+"."+name)
		}
		all = append(all, c.lacks(field, visited)...)
	}
	return all
}

// JSON that is nested 10,000 deep, or nearly so, is refused or goes on to be answered, as a whole body and in each field.
func TestBadInput_DeepJSON(t *testing.T) {
	racing.SkipExhaustive(t)
	for _, depth := range []int{9_990, 30_000} {
		deep := json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		for _, q := range requests() {
			newBusiness(t).tries(q, string(deep))
			var value any
			if err := json.Unmarshal([]byte(q.body), &value); err != nil {
				t.Fatal(err)
			}
			places(value, nil, func(at place, _ any) {
				b := newBusiness(t)
				// The encoder would refuse it, too: it stands in for a string.
				body := strings.Replace(changed(t, q.body, at, "the deep one"), `"the deep one"`, string(deep), 1)
				if f := b.tries(q, body); f == (refusal{}) {
					t.Errorf("%s: %s, %d deep, is taken", q.name, at.name(), depth)
				}
				if w := b.sends(http.MethodGet, "/"+account+"/message_templates", ""); w.Code != http.StatusOK {
					t.Errorf("%s: %s, %d deep: templates are answered %d", q.name, at.name(), depth, w.Code)
				}
			})
		}
	}
}

// What a request names must be the business's, and not the business itself.
func TestBadInput_NamesWhatIsNotThere(t *testing.T) {
	message := requests()[0]
	for _, tc := range []struct {
		name   string
		q      request
		status int
		code   int
		says   string
	}{
		{"oneself", request{"", message.method, message.path, `{"messaging_product":"whatsapp","to":"15550783881","text":{"body":"x"}}`}, 400, cloudapi.CodeToSelf, "own"},
		{"oneself, to block", request{"", http.MethodPost, "/" + numberID + "/block_users", `{"messaging_product":"whatsapp","block_users":[{"user":"15550783881"}]}`}, 400, cloudapi.CodeBlock, "failed_users"},
		{"a file of nobody", request{"", message.method, message.path, `{"messaging_product":"whatsapp","to":"16505551234","type":"image","image":{"id":"999"}}`}, 400, cloudapi.CodeInvalidParameter, "image.id"},
		{"a template of nobody", request{"", message.method, message.path, `{"messaging_product":"whatsapp","to":"16505551234","type":"template","template":{"name":"none","language":{"code":"en"}}}`}, 404, cloudapi.CodeNoTemplate, "template.name"},
		{"a user id of nobody", request{"", message.method, message.path, `{"messaging_product":"whatsapp","recipient":"US.1","text":{"body":"x"}}`}, 400, cloudapi.CodeUndeliverable, "recipient"},
		{"another's message", request{"", message.method, message.path, `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.none"}`}, 400, cloudapi.CodeInvalidValue, "message_id"},
	} {
		b := newBusiness(t)
		b.s.err = map[string]error{"a file of nobody": cloudapi.ErrUnknownFile, "another's message": cloudapi.ErrUnknownMessage}[tc.name]
		f := b.tries(tc.q, tc.q.body)
		if f.status != tc.status || f.code != tc.code || !strings.Contains(f.details, tc.says) {
			t.Errorf("%s: %+v", tc.name, f)
		}
	}
}

// tokenMemory keeps tokens in memory.
type tokenMemory struct{ list []byte }

func (m *tokenMemory) Load(context.Context) ([]byte, error) { return m.list, nil }

func (m *tokenMemory) Save(_ context.Context, list []byte, _ bool) error {
	m.list = list
	return nil
}
