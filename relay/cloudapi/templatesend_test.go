package cloudapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// send sends a message by a template.
func (w withTemplates) send(template string) *httptest.ResponseRecorder {
	return call(w.api, http.MethodPost, messages, `{"messaging_product":"whatsapp","to":"16505551234","type":"template","biz_opaque_callback_data":"7","template":`+template+`}`)
}

// by is a message by a template of that name with these components.
func by(name, components string) string {
	return `{"name":"` + name + `","language":{"policy":"deterministic","code":"en_US"},"components":[` + components + `]}`
}

const (
	helloPablo = `{"type":"header","parameters":[{"type":"text","text":"Pablo"}]}`
	order7     = `{"type":"body","parameters":[{"type":"text","text":"7"},{"type":"currency","currency":{"fallback_value":"$ 100","code":"USD","amount_1000":100000}}]}`
	track7     = `{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"7?a=b"}]}`
)

func TestTemplate_IsSentAsATextWithItsButtons(t *testing.T) {
	w := templates(t)
	w.create(welcome)
	answer := w.send(by("welcome", helloPablo+","+order7+","+track7+`,{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":"stop-it"}]}`))
	want := cloudapi.Text{
		To: mustNumber(t, "+16505551234"), Opaque: "7", Marketing: true, ChoiceKind: cloudapi.ButtonPress, Choices: []rich.Choice{{ID: "stop-it", Title: "Stop"}},
		Body: "Hello Pablo\n\nOrder 7 for $ 100.\n\n1. Stop\n\nTrack: https://shop.test/7?a=b\nCall us: 15550051310\n\nLucky Shrub",
	}
	if diff := cmp.Diff([]cloudapi.Text{want}, w.s.texts, sameNumber()); diff != "" {
		t.Errorf("%d %s\n%s", answer.Code, answer.Body, diff)
	}
	golden(t, "template-accepted", answer)
}

func TestTemplate_WithAFileIsSentAsTheFileWithTheText(t *testing.T) {
	w := templates(t)
	w.create(`{"name":"offer","language":"en_US","category":"UTILITY","parameter_format":"named","components":[{"type":"HEADER","format":"DOCUMENT"},` +
		`{"type":"BODY","text":"For {{who}} until {{day}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Yes"},{"type":"COPY_CODE","example":"A"}]}]}`)
	answer := w.send(by("offer", `{"type":"header","parameters":[{"type":"document","document":{"link":"https://shop.test/a.pdf","filename":"Offer.pdf"}}]},`+
		`{"type":"body","parameters":[{"type":"date_time","parameter_name":"day","date_time":{"fallback_value":"Monday"}},{"type":"text","parameter_name":"who","text":"{{day}}"}]},`+
		`{"type":"button","sub_type":"copy_code","index":"1","parameters":[{"type":"coupon_code","coupon_code":"25OFF"}]}`))
	want := cloudapi.Attachment{
		To: mustNumber(t, "+16505551234"), Kind: media.Document, Link: "https://shop.test/a.pdf", Filename: "Offer.pdf", Opaque: "7",
		Caption: "For {{day}} until Monday\n\n1. Yes\n\nCode: 25OFF", ChoiceKind: cloudapi.ButtonPress, Choices: []rich.Choice{{ID: "Yes", Title: "Yes"}},
	}
	if diff := cmp.Diff([]cloudapi.Attachment{want}, w.s.attachments, sameNumber()); diff != "" {
		t.Errorf("%d %s\n%s", answer.Code, answer.Body, diff)
	}
}

func TestTemplate_OfACodeOrAPlaceIsSent(t *testing.T) {
	w := templates(t)
	w.create(`{"name":"code","language":"en_US","category":"AUTHENTICATION","components":[{"type":"BODY","add_security_recommendation":true},` +
		`{"type":"FOOTER","code_expiration_minutes":10},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE","text":"Copy"}]}]}`)
	w.create(`{"name":"shop","language":"en_US","category":"UTILITY","components":[{"type":"HEADER","format":"LOCATION"},{"type":"BODY","text":"Come!"}]}`)
	w.send(by("code", `{"type":"body","parameters":[{"type":"text","text":"1234"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"1234"}]}`))
	w.send(by("shop", `{"type":"header","parameters":[{"type":"location","location":{"latitude":"1.5","longitude":2,"name":"Shop"}}]}`))
	for i, want := range []string{
		"1234 is your verification code. For your security, do not share this code.\n\nThis code expires in 10 minutes.",
		"Shop\ngeo:1.5,2\n\nCome!",
	} {
		if len(w.s.texts) != 2 || w.s.texts[i].Body != want {
			t.Errorf("sent: %+v", w.s.texts)
		}
	}
}

// Each refusal has the documented code, and nothing is sent.
func TestTemplate_ValuesThatDoNotFitAreRefused(t *testing.T) {
	with := func(values string) string { return by("welcome", helloPablo+","+track7+","+values) }
	body := func(values string) string { return with(`{"type":"body","parameters":[` + values + `]}`) }
	button := func(b string) string { return by("welcome", helloPablo+","+order7+","+b) }
	text := `{"type":"text","text":"7"}`
	for name, q := range map[string]struct {
		template, details string
		code              int
	}{
		"nothing":             {`null`, "template", 131008},
		"no name":             {`{}`, "template.name", 131008},
		"no language":         {`{"name":"welcome"}`, "template.language.code", 131008},
		"an unknown name":     {by("bye", ""), "template.name", 132001},
		"another language":    {`{"name":"welcome","language":{"code":"de"}}`, "template.language.code", 132001},
		"no values":           {by("welcome", ""), "header: number of parameters (0)", 132000},
		"too few":             {body(text), "body: number of parameters (1) does not match the expected number of params (2)", 132000},
		"too many":            {body(text + "," + text + "," + text), "body: number of parameters (3)", 132000},
		"an empty value":      {body(text + `,{"type":"text","text":""}`), "parameters.text", 131008},
		"no amount":           {body(text + `,{"type":"currency"}`), "currency.fallback_value", 131008},
		"a picture in a text": {body(text + `,{"type":"image","image":{"id":"1"}}`), "body", 132012},
		"a number":            {body(text + `,{"type":"text","text":7}`), "text", 100},
		"another component":   {with(`{"type":"carousel"}`), "template.components.type", 131009},
		"two bodies":          {with(order7 + "," + order7), "template.components", 100},
		"no index":            {button(`{"type":"button","sub_type":"url"}`), "template.components.index", 131009},
		"index ten":           {button(`{"type":"button","index":"10"}`), "template.components.index", 131009},
		"a fourth button":     {button(track7 + `,{"type":"button","index":"3"}`), "template.components.index", 132012},
		"no link":             {button(""), "button: number of parameters (0)", 132000},
		"another button":      {button(strings.Replace(track7, `"url"`, `"quick_reply"`, 1)), "sub_type", 132012},
		"a payload as link":   {button(strings.Replace(track7, `"type":"text"`, `"type":"payload"`, 1)), "text", 132012},
		"a value for a call":  {button(track7 + `,{"type":"button","sub_type":"voice_call","index":"2","parameters":[` + text + `]}`), "button: number of parameters (1)", 132000},
		"a long payload": {
			button(track7 + `,{"type":"button","index":"0","parameters":[{"type":"payload","payload":"` + strings.Repeat("x", 257) + `"}]}`), "payload", 100,
		},
		"a long text": {body(text + `,{"type":"text","text":"` + strings.Repeat("ä", 4090) + `"}`), "4096", 132005},
	} {
		w := templates(t)
		w.create(welcome)
		q.template = strings.ReplaceAll(q.template, ",]", "]")
		got := w.send(q.template)
		status := http.StatusBadRequest
		if q.code == 132001 {
			status = http.StatusNotFound
		}
		if got.Code != status || !strings.Contains(got.Body.String(), fmt.Sprintf(`"code":%d,`, q.code)) || !strings.Contains(got.Body.String(), q.details) || len(w.s.texts) != 0 {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	w := templates(t)
	w.create(`{"name":"picture","language":"en_US","category":"UTILITY","components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"x"}]}`)
	for values, code := range map[string]int{
		``:         132000,
		helloPablo: 132012,
		`{"type":"header","parameters":[{"type":"image"}]}`:                                                  131008,
		`{"type":"header","parameters":[{"type":"image","image":{"link":"file:///etc/passwd"}}]}`:            131009,
		`{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]},{"type":"button","index":"0"}`: 132012,
	} {
		if got := w.send(by("picture", values)); !strings.Contains(got.Body.String(), fmt.Sprintf(`"code":%d,`, code)) || len(w.s.attachments) != 0 {
			t.Errorf("%s: %d %s", values, got.Code, got.Body)
		}
	}
}

// FuzzTemplate holds that what is accepted as a template is listed, and that whatever is sent by it is bounded.
func FuzzTemplate(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(welcome, by("welcome", helloPablo+","+order7+","+track7))
	f.Add(`{"name":"a","language":"en_US","category":"AUTHENTICATION","components":[{"type":"BODY"},{"type":"BUTTONS","buttons":[{"type":"otp"}]}]}`, by("a", ""))
	f.Fuzz(func(t *testing.T, template, message string) {
		w := templates(t)
		if w.call(http.MethodPost, "", template).Code == http.StatusOK {
			if names, _ := w.names(w.call(http.MethodGet, "", "")); len(names) != 1 {
				t.Fatalf("listed: %v", names)
			}
		}
		if !json.Valid([]byte(message)) {
			return
		}
		answer := w.send(message)
		for _, sent := range w.s.texts {
			if sent.Body == "" || len([]rune(sent.Body)) > cloudapi.MaxTextLength {
				t.Fatalf("sent: %q", sent.Body)
			}
		}
		if accepted := answer.Code == http.StatusOK; accepted != (len(w.s.texts)+len(w.s.attachments) == 1) {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
	})
}
