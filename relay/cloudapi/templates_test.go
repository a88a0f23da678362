package cloudapi_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

const account = "102290129340398"

func (s *service) Templates(context.Context) ([]cloudapi.Template, error) { return s.templates, s.err }

func (s *service) Template(_ context.Context, id string) (cloudapi.Template, error) {
	for _, t := range s.templates {
		if t.ID == id {
			return t, nil
		}
	}
	return cloudapi.Template{}, cloudapi.ErrUnknownTemplate
}

func (s *service) TemplateNamed(_ context.Context, name, language string) (cloudapi.Template, error) {
	for _, t := range s.templates {
		if t.Name == name && t.Language == language {
			return t, s.err
		}
	}
	return cloudapi.Template{}, cmp.Or(s.err, cloudapi.ErrUnknownTemplate)
}

func (s *service) PutTemplate(_ context.Context, t cloudapi.Template) (string, error) {
	if t.ID == "" {
		t.ID = fmt.Sprint(200000000000000 + len(s.templates))
	}
	for i, other := range s.templates {
		if other.ID == t.ID {
			s.templates[i] = t
			return t.ID, s.err
		}
		if other.Name == t.Name && other.Language == t.Language {
			return "", cloudapi.ErrTemplateExists
		}
	}
	s.templates = append(s.templates, t)
	return t.ID, s.err
}

func (s *service) DeleteTemplates(_ context.Context, ids []string) error {
	s.templates = slices.DeleteFunc(s.templates, func(t cloudapi.Template) bool { return slices.Contains(ids, t.ID) })
	return s.err
}

// withTemplates is an API of a business account, and calls about its templates.
type withTemplates struct {
	t   *testing.T
	s   *service
	api http.Handler
}

func templates(t *testing.T) withTemplates {
	t.Helper()
	s := &service{}
	o := options(t, s)
	o.Number.AccountID = account
	return withTemplates{t, s, cloudapi.New(o)}
}

func (w withTemplates) call(method, query, body string) *httptest.ResponseRecorder {
	return call(w.api, method, "/v23.0/"+account+"/message_templates"+query, body)
}

// create creates a template and returns its id.
func (w withTemplates) create(body string) string {
	w.t.Helper()
	answer := w.call(http.MethodPost, "", body)
	var created struct{ ID, Status string }
	if err := json.Unmarshal(answer.Body.Bytes(), &created); err != nil || answer.Code != http.StatusOK || created.ID == "" || created.Status != "APPROVED" {
		w.t.Fatalf("created: %d %s", answer.Code, answer.Body)
	}
	return created.ID
}

// names returns the names of the templates that an answer lists, and the next page's address.
func (w withTemplates) names(answer *httptest.ResponseRecorder) (names []string, next string) {
	w.t.Helper()
	var page struct {
		Data   []struct{ Name, Language string }
		Paging struct{ Next string }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil || answer.Code != http.StatusOK {
		w.t.Fatalf("listed: %d %s", answer.Code, answer.Body)
	}
	for _, t := range page.Data {
		names = append(names, t.Name+" "+t.Language)
	}
	return names, page.Paging.Next
}

const welcome = `{"name":"welcome","language":"en_US","category":"marketing","components":[{"type":"header","format":"text","text":"Hello {{1}}","example":{"header_text":["Pablo"]}},` +
	`{"type":"BODY","text":"Order {{1}} for {{2}}.","example":{"body_text":[["7","Pablo"]]}},{"type":"FOOTER","text":"Lucky Shrub"},` +
	`{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Stop"},{"type":"URL","text":"Track","url":"https://shop.test/{{1}}","example":["https://shop.test/7"]},` +
	`{"type":"PHONE_NUMBER","text":"Call us","phone_number":"15550051310"}]}]}`

func TestTemplate_IsCreatedListedEditedAndDeleted(t *testing.T) {
	w := templates(t)
	if got := w.call(http.MethodGet, "", ""); strings.TrimSpace(got.Body.String()) != `{"data":[]}` {
		t.Errorf("without templates: %d %s", got.Code, got.Body)
	}
	id := w.create(welcome)
	golden(t, "templates", w.call(http.MethodGet, "?name=welcome", ""))
	golden(t, "template", call(w.api, http.MethodGet, "/v23.0/"+id+"?fields=name,status,quality_score{score}", ""))
	german := w.create(strings.Replace(welcome, "en_US", "de", 1))
	w.create(strings.Replace(welcome, "welcome", "bye", 1))
	if got, _ := w.names(w.call(http.MethodGet, "?name=welcome&language=de", "")); !slices.Equal(got, []string{"welcome de"}) {
		t.Errorf("filtered: %v", got)
	}

	edit := call(w.api, http.MethodPost, "/v23.0/"+id, `{"category":"UTILITY","components":[{"type":"BODY","text":"Hi"}]}`)
	shown := call(w.api, http.MethodGet, "/v23.0/"+id, "")
	if edit.Code != http.StatusOK || edit.Body.String() != `{"success":true}` || !strings.Contains(shown.Body.String(), `"category":"UTILITY","components":[{"type":"BODY","text":"Hi"}]`) {
		t.Errorf("edited: %s, then %s", edit.Body, shown.Body)
	}

	for _, query := range []string{"?hsm_id=" + german + "&name=welcome", "?name=welcome"} {
		if got := w.call(http.MethodDelete, query, ""); got.Code != http.StatusOK || got.Body.String() != `{"success":true}` {
			t.Errorf("deleted: %s", got.Body)
		}
	}
	if got, _ := w.names(w.call(http.MethodGet, "", "")); !slices.Equal(got, []string{"bye en_US"}) {
		t.Errorf("left: %v", got)
	}
}

// Clients follow the address as it is, without any header.
func TestTemplates_PagesLeadToEachOther(t *testing.T) {
	w := templates(t)
	var want []string
	for i := range 5 {
		w.create(strings.Replace(welcome, "welcome", fmt.Sprint("n", i), 1))
		want = append(want, fmt.Sprint("n", i, " en_US"))
	}
	var got []string
	next := "https://relay.test:8443/v23.0/" + account + "/message_templates?limit=2&access_token=" + token
	for pages := 0; next != "" && pages < 9; pages++ {
		if !strings.HasPrefix(next, "https://relay.test:8443/") {
			t.Fatalf("the next page is at %s", next)
		}
		r := httptest.NewRequest(http.MethodGet, next, nil)
		answer := httptest.NewRecorder()
		serve(w.api, answer, r)
		names, after := w.names(answer)
		got, next = append(got, names...), after
	}
	if !slices.Equal(got, want) {
		t.Errorf("the pages have %v", got)
	}
	if _, next := w.names(w.call(http.MethodGet, "?limit=2", "")); next == "" || strings.Contains(next, token) {
		t.Errorf("the next page is at %s", next)
	}
}

// Each refusal names the parameter, and nothing is stored.
func TestTemplate_RefusesWhatTheAPIDoes(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	of := func(components string) string {
		return `{"name":"a","language":"en","category":"UTILITY","components":[` + components + `]}`
	}
	body := func(text string) string { return of(`{"type":"BODY","text":"` + text + `"}`) }
	header := func(h string) string { return of(`{"type":"BODY","text":"x"},{"type":"HEADER",` + h + `}`) }
	buttons := func(b string) string {
		return of(`{"type":"BODY","text":"x"},{"type":"BUTTONS","buttons":[` + b + `]}`)
	}
	reply := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"type":"QUICK_REPLY","text":"%d"}`, i))
		}
		return strings.Join(all, ",")
	}
	for name, q := range map[string]struct {
		body, param string
		code        int
	}{
		"no name":             {`{}`, "name", 131008},
		"capitals":            {`{"name":"Welcome"}`, "name", 100},
		"a long name":         {`{"name":"` + strings.Repeat("a", 513) + `"}`, "name", 100},
		"no language":         {`{"name":"a"}`, "language", 131008},
		"another language":    {`{"name":"a","language":"English"}`, "language", 100},
		"no category":         {`{"name":"a","language":"en"}`, "category", 131008},
		"another category":    {`{"name":"a","language":"en","category":"SPAM"}`, "category", 100},
		"another format":      {`{"name":"a","language":"en","category":"UTILITY","parameter_format":"x"}`, "parameter_format", 100},
		"no components":       {of(``), "BODY", 100},
		"components as text":  {`{"name":"a","components":"x"}`, "components", 100},
		"two bodies":          {of(`{"type":"BODY","text":"x"},{"type":"body","text":"x"}`), "components", 100},
		"a carousel":          {of(`{"type":"CAROUSEL"}`), "components.type", 100},
		"no text":             {of(`{"type":"BODY"}`), "components.text of BODY", 131008},
		"a long body":         {body(long(1025)), "components.text of BODY", 100},
		"a gap":               {body("{{1}} {{3}}"), "without gaps", 100},
		"a name":              {body("{{name}}"), "without gaps", 100},
		"a number as a name":  {strings.Replace(body("{{1}}"), "{", `{"parameter_format":"NAMED",`, 1), "components.text of BODY", 100},
		"a picture as header": {header(`"format":"GIF"`), "components.format", 100},
		"no header":           {header(`"format":"TEXT"`), "components.text of HEADER", 131008},
		"a long header":       {header(`"format":"TEXT","text":"` + long(61) + `"`), "components.text of HEADER", 100},
		"two header values":   {header(`"format":"TEXT","text":"{{1}} {{2}}"`), "components.text of HEADER", 100},
		"a footer's value":    {of(`{"type":"BODY","text":"x"},{"type":"FOOTER","text":"{{1}}"}`), "components.text of FOOTER", 100},
		"a long footer":       {of(`{"type":"BODY","text":"x"},{"type":"FOOTER","text":"` + long(61) + `"}`), "components.text of FOOTER", 100},
		"a long life":         {of(`{"type":"BODY","text":"x"},{"type":"FOOTER","code_expiration_minutes":91}`), "code_expiration_minutes", 100},
		"no buttons":          {buttons(``), "components.buttons", 100},
		"eleven buttons":      {buttons(reply(11)), "components.buttons", 100},
		"equal buttons":       {buttons(`{"type":"QUICK_REPLY","text":"a"},{"type":"QUICK_REPLY","text":"a"}`), "components.buttons.text", 100},
		"a flow":              {buttons(`{"type":"FLOW","text":"a"}`), "components.buttons.type", 100},
		"a long button":       {buttons(`{"type":"QUICK_REPLY","text":"` + long(26) + `"}`), "components.buttons.text", 100},
		"no link":             {buttons(`{"type":"URL","text":"a"}`), "components.buttons.url", 131008},
		"a script":            {buttons(`{"type":"URL","text":"a","url":"javascript:{{1}}"}`), "components.buttons.url", 131009},
		"a value in the host": {buttons(`{"type":"URL","text":"a","url":"https://{{1}}.test/"}`), "components.buttons.url", 100},
		"three links":         {buttons(`{"type":"URL","text":"a","url":"https://a.test"},{"type":"URL","text":"b","url":"https://a.test"},{"type":"URL","text":"c","url":"https://a.test"}`), "components.buttons", 100},
		"a long number":       {buttons(`{"type":"PHONE_NUMBER","text":"a","phone_number":"123456789012345678901"}`), "components.buttons.phone_number", 100},
		"a one-time code":     {buttons(`{"type":"OTP","otp_type":"COPY_CODE"}`), "AUTHENTICATION", 100},
		"a code in German":    {`{"name":"a","language":"de","category":"AUTHENTICATION","components":[{"type":"BODY"}]}`, "components.text of BODY", 100},
	} {
		w := templates(t)
		got := w.call(http.MethodPost, "", q.body)
		if got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), fmt.Sprintf(`"code":%d,`, q.code)) || !strings.Contains(got.Body.String(), q.param) || len(w.s.templates) != 0 {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	w := templates(t)
	id := w.create(welcome)
	for name, got := range map[string]*httptest.ResponseRecorder{
		"the same again":  w.call(http.MethodPost, "", welcome),
		"no edit":         call(w.api, http.MethodPost, "/v23.0/"+id, `{}`),
		"another name":    call(w.api, http.MethodPost, "/v23.0/"+id, `{"name":"bye","category":"UTILITY"}`),
		"a bad edit":      call(w.api, http.MethodPost, "/v23.0/"+id, `{"components":[]}`),
		"an unknown one":  call(w.api, http.MethodPost, "/v23.0/299999999999999", `{"category":"UTILITY"}`),
		"an unknown name": w.call(http.MethodDelete, "?name=bye", ""),
		"another's id":    w.call(http.MethodDelete, "?name=bye&hsm_id="+id, ""),
		"nothing":         w.call(http.MethodDelete, "?x=y", ""),
		"a wrong cursor":  w.call(http.MethodGet, "?after=x", ""),
		"a wrong field":   w.call(http.MethodGet, "?fields=secret", ""),
	} {
		if got.Code != http.StatusBadRequest || len(w.s.templates) != 1 {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
}
