package cloudapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const form = "application/x-www-form-urlencoded"

// ask sends one authorised request whose body has a content type.
func ask(h http.Handler, method, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	serve(h, w, r)
	return w
}

// What the Graph API takes: JSON, a form, the query, or some of each.
func TestParameters_MayComeInEachFormOfTheGraphAPI(t *testing.T) {
	text := `{"body":"Hello; & +1"}`
	values := url.Values{"messaging_product": {"whatsapp"}, "to": {"+16505551234"}, "type": {"text"}, "text": {text}, "biz_opaque_callback_data": {"{7}"}}.Encode()
	for name, q := range map[string]struct{ query, contentType, body string }{
		"JSON":                      {"", "application/json", `{"messaging_product":"whatsapp","to":"+16505551234","text":` + text + `,"biz_opaque_callback_data":"{7}"}`},
		"JSON after a byte mark":    {"", "application/json", "\ufeff" + ` {"messaging_product":"whatsapp","to":"+16505551234","text":` + text + `,"biz_opaque_callback_data":"{7}"}`},
		"JSON called a form":        {"", form, `{"messaging_product":"whatsapp","to":"+16505551234","text":` + text + `,"biz_opaque_callback_data":"{7}"}`},
		"the number as a number":    {"", "application/json", `{"messaging_product":"whatsapp","to":16505551234,"text":` + text + `,"biz_opaque_callback_data":"{7}"}`},
		"a form":                    {"", form + "; charset=utf-8", values},
		"the query":                 {"?" + values, "", ""},
		"query and JSON":            {"?messaging_product=whatsapp&to=999&access_token=" + token, "application/json", `{"to":"+16505551234","text":` + text + `,"biz_opaque_callback_data":"{7}"}`},
		"query and form":            {"?messaging_product=whatsapp", form, values},
		"a query with a semicolon":  {"?a=1;b=2", "application/json", `{"messaging_product":"whatsapp","to":"+16505551234","text":` + text + `,"biz_opaque_callback_data":"{7}"}`},
		"with a proof of the app's": {"?appsecret_proof=00ff&" + values, "", ""},
	} {
		s := &service{}
		w := ask(cloudapi.New(options(t, s)), "POST", messages+q.query, q.contentType, q.body)
		want := []cloudapi.Text{{To: mustNumber(t, "+16505551234"), Body: "Hello; & +1", Opaque: "{7}"}}
		if diff := cmp.Diff(want, s.texts, cmp.Comparer(func(a, b phone.Number) bool { return a == b })); w.Code != 200 || diff != "" {
			t.Errorf("%s: %d\n%s", name, w.Code, diff)
		}
	}
}

func TestParameters_IDsMayBeNumbers(t *testing.T) {
	s := &service{}
	h := cloudapi.New(options(t, s))
	call(h, "POST", messages, `{"messaging_product":"whatsapp","to":16505551234,"type":"image","image":{"id":1037543291543636}}`)
	if len(s.attachments) != 1 || s.attachments[0].ID != "1037543291543636" {
		t.Errorf("got %d attachments", len(s.attachments))
	}
	w := call(h, "POST", "/v23.0/"+numberID+"/block_users", `{"messaging_product":"whatsapp","block_users":[{"user":16505551234}]}`)
	if w.Code != 200 || len(s.blocked) != 1 {
		t.Errorf("blocking a number: %d", w.Code)
	}
}

func TestParameters_WrongOnesChangeNothing(t *testing.T) {
	for name, q := range map[string]struct{ query, contentType, body, says string }{
		"no percent-encoding": {"", form, "to=%zz", "percent-encoded"},
		"a form in a form":    {"", form, "messaging_product=whatsapp&to=16505551234&text=hi", "Param text must be of another type than string"},
		"a list as text":      {"?text=[]", "application/json", `{}`, "Param text must be of another type than array"},
		"a float":             {"", "application/json", `{"messaging_product":"whatsapp","to":1.6505551234e10,"text":{"body":"x"}}`, "Param to must be of another type than number"},
		"an object as number": {"", "application/json", `{"messaging_product":"whatsapp","to":{"user":1},"text":{"body":"x"}}`, "Param to must be of another type than object"},
		"a form as JSON":      {"", "application/json", "to=16505551234", "not a JSON object"},
		"deep JSON":           {"", "application/json", `{"text":` + strings.Repeat("[", 60_000) + strings.Repeat("]", 60_000) + "}", "not a JSON object"},
		"a zero in brackets":  {"", "application/json", `{"messaging_product":"whatsapp","to":"+49 (0)170 1234567","text":{"body":"x"}}`, "zero in parentheses"},
	} {
		s := &service{}
		w := ask(cloudapi.New(options(t, s)), "POST", messages+q.query, q.contentType, q.body)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), q.says) || len(s.texts) != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestFields_MayBeNested(t *testing.T) {
	h := cloudapi.New(options(t, &service{}))
	many, inner := strings.Repeat("id,", 40)+"id", strings.Repeat("level,", 40)+"level"
	for fields, want := range map[string]string{
		"throughput{level}":                               `{"id":"` + numberID + `","throughput":{"level":"STANDARD"}}`,
		"status, throughput{level} ,id":                   `{"id":"` + numberID + `","status":"CONNECTED","throughput":{"level":"STANDARD"}}`,
		"throughput{level},quality_rating":                `{"id":"` + numberID + `","quality_rating":"UNKNOWN","throughput":{"level":"STANDARD"}}`,
		"health_status{can_send_message}":                 `{"health_status":{"can_send_message":"AVAILABLE"},"id":"` + numberID + `"}`,
		"webhook_configuration{application,phone_number}": `{"id":"` + numberID + `","webhook_configuration":{}}`,
		"throughput{levels}":                              "nonexisting",
		"status{level}":                                   "nonexisting",
		"throughput{level":                                "brace",
		"throughput{level{x}}":                            "brace",
		"throughput{level}x":                              "nonexisting",
		"id,":                                             "nonexisting",
		many:                                              "Too many",
		"throughput{" + inner + "}":                       "Too many",
	} {
		w := call(h, "GET", "/v23.0/"+numberID+"?fields="+url.QueryEscape(fields), "")
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("fields %q: %s", fields, w.Body)
		}
	}
}

func TestFileAddress_IsWhereTheRequestWent(t *testing.T) {
	h, _ := withFile(t, func(o *cloudapi.Options) {
		o.BaseURL, o.Hosts = "https://relay.example.org", []string{"relay.example.org", "shop.businesses.svc"}
	})
	for host, want := range map[string]string{
		"relay.example.org": "https://relay.example.org", "relay.example.org:8443": "https://relay.example.org:8443", "Shop.businesses.svc:8443": "https://Shop.businesses.svc:8443",
		"evil.example": "https://relay.example.org", "": "https://relay.example.org", "[::1]:443": "https://relay.example.org",
	} {
		r := httptest.NewRequest(http.MethodGet, "/v23.0/"+fileID, http.NoBody)
		r.Host = host
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		serve(h, w, r)
		if !strings.Contains(w.Body.String(), `"url":"`+want+"/media/") {
			t.Errorf("%s: %s", host, w.Body)
		}
	}
}

func TestDownload_NamesTheFile(t *testing.T) {
	for name, want := range map[string]string{
		"Offer 2.pdf": `attachment; filename="Offer 2.pdf"`, "Angebot ä.pdf": "attachment; filename*=utf-8''Angebot%20%C3%A4.pdf",
		"": "attachment; filename=" + fileID + ".png",
	} {
		h, s := withFile(t, func(*cloudapi.Options) {})
		f := s.files[fileID]
		f.Name = name
		s.files[fileID] = f
		if got := fetch(h, "GET", address(t, h).RequestURI()).Header().Get("Content-Disposition"); got != want {
			t.Errorf("%q is saved by %q, want %q", name, got, want)
		}
	}
}

func TestUpload_TakesParametersFromTheQuery(t *testing.T) {
	s := &service{}
	h := cloudapi.New(options(t, s))
	body, contentType := multipartBody(t, part{"file", "application/octet-stream", "a", png}, part{name: "typeFile", content: "image/jpeg"})
	if w := ask(h, "POST", "/v23.0/"+numberID+"/media?messaging_product=whatsapp&type=image/jpeg", contentType, body); w.Code != 200 || s.files[fileID].MIME != "image/jpeg" {
		t.Errorf("%d, stored %s", w.Code, s.files[fileID].MIME)
	}
	body, contentType = multipartBody(t, whatsapp, part{name: "typeFile", content: "image/jpeg"}, part{"file", "", "a", png})
	if w := ask(h, "POST", "/v23.0/"+numberID+"/media", contentType, body); w.Code != 200 || s.files[fileID].MIME != "image/jpeg" {
		t.Errorf("%d, stored %s", w.Code, s.files[fileID].MIME)
	}
}
