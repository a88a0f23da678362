package cloudapi_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// user writes a message's body to a user id.
func user(id, rest string) string {
	return `{"messaging_product":"whatsapp","recipient":"` + id + `"` + rest + `}`
}

func TestUserID_IsSentEveryTypeOfMessage(t *testing.T) {
	for name, body := range map[string]string{
		"text":        `,"text":{"body":"x"}`,
		"interactive": `,"type":"interactive","interactive":{"type":"button","body":{"text":"?"},"action":{"buttons":[{"type":"reply","reply":{"id":"a","title":"A"}}]}}`,
		"location":    `,"type":"location","location":{"latitude":1,"longitude":2}`,
		"contacts":    `,"type":"contacts","contacts":[{"name":{"formatted_name":"Ada"}}]`,
		"image":       `,"type":"image","image":{"link":"https://shop.test/a.jpg"}`,
		"reaction":    `,"type":"reaction","reaction":{"message_id":"wamid.q","emoji":""}`,
	} {
		s := &service{files: map[string]storedFile{}}
		w := call(cloudapi.New(options(t, s)), "POST", messages, user(anna, body))
		if want := `"contacts":[{"input":"` + anna + `","user_id":"` + anna + `"}]`; w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		var marked []bool
		for _, x := range s.texts {
			marked = append(marked, x.ToUser && x.To.Local() == "anna")
		}
		for _, x := range s.attachments {
			marked = append(marked, x.ToUser && x.To.Local() == "anna")
		}
		for _, x := range s.reactions {
			marked = append(marked, x.ToUser && x.To.Local() == "anna")
		}
		if !slices.Equal(marked, []bool{true}) {
			t.Errorf("%s: the service got %v", name, marked)
		}
	}
}

// TestUserID_NeverReachesTheNumberParser names users whose ids a parser of numbers would take for one.
func TestUserID_NeverReachesTheNumberParser(t *testing.T) {
	for _, id := range []string{"US.13491208655302741918", "US.14155551234", "DE.491701234567"} {
		s := &service{}
		h := cloudapi.New(options(t, s))
		if w := call(h, "POST", messages, `{"messaging_product":"whatsapp","to":"`+id+`","text":{"body":"x"}}`); w.Code != 400 || len(s.texts) != 0 {
			t.Errorf("in to: %d %s", w.Code, w.Body)
		}
	}
}

func TestUserID_IsBlockedListedAndUnblocked(t *testing.T) {
	s := &service{}
	h := cloudapi.New(options(t, s))
	ids := func(users ...string) string {
		return `{"messaging_product":"whatsapp","block_users":[{"user_id":"` + strings.Join(users, `"},{"user_id":"`) + `"}]}`
	}
	golden(t, "user-id-block", call(h, "POST", blockUsers, ids(sheena, anna)))
	golden(t, "user-id-block-some", call(h, "POST", blockUsers, ids("US.1", "nobody", sheena)))
	s.blocked = append(s.blocked, cloudapi.BlockedUser{Number: mustNumber(t, "+16505559999"), User: gone})
	golden(t, "user-id-block-list", call(h, "GET", blockUsers, ""))
	golden(t, "user-id-unblock", call(h, "DELETE", blockUsers, ids(anna, gone)))
	for _, b := range s.blocked {
		if b.User != sheena {
			t.Errorf("%s is still blocked", b.User)
		}
	}
}

func TestTemplate_OfAuthenticationGoesToNoUserID(t *testing.T) {
	s := &service{}
	o := options(t, s)
	o.Number.AccountID = accountID
	h := cloudapi.New(o)
	created := call(h, "POST", "/v23.0/"+accountID+"/message_templates",
		`{"name":"code","language":"en","category":"AUTHENTICATION","components":[{"type":"BODY","text":"Your code is {{1}}.","example":{"body_text":[["1"]]}}]}`)
	if created.Code != 200 {
		t.Fatalf("%d %s", created.Code, created.Body)
	}
	template := `,"type":"template","template":{"name":"code","language":{"code":"en"},"components":[{"type":"body","parameters":[{"type":"text","text":"7"}]}]}`
	golden(t, "user-id-authentication", call(h, "POST", messages, user(sheena, template)))
	if w := call(h, "POST", messages, `{"messaging_product":"whatsapp","to":"+16505551234"`+template+`}`); w.Code != 200 || len(s.texts) != 1 {
		t.Errorf("to the number: %d %s", w.Code, w.Body)
	}
}

// hidden are the options of a number whose business is to know no customer's number.
func hidden(t testing.TB, s cloudapi.Service) cloudapi.Options {
	o := options(t, s)
	o.Customers, o.HideNumbers = &registry{}, true
	return o
}

// TestHiddenNumbers_AreInNoAnswer asks everything that could tell whose a user id is.
func TestHiddenNumbers_AreInNoAnswer(t *testing.T) {
	const digits = "16505551234"
	s := &service{files: map[string]storedFile{}}
	s.blocked = []cloudapi.BlockedUser{{Number: mustNumber(t, "+"+digits)}, {Number: mustNumber(t, "+16505559999"), User: gone}, {Number: mustNumber(t, "+16505558888")}}
	h := cloudapi.New(hidden(t, s))
	customers := "/v23.0/" + numberID + "/customers"
	for what, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"a text":              {"POST", messages, user(sheena, `,"text":{"body":"x"}`), 200},
		"the block list":      {"GET", blockUsers, "", 200},
		"a block":             {"POST", blockUsers, `{"messaging_product":"whatsapp","block_users":[{"user_id":"` + sheena + `"}]}`, 200},
		"an unblock":          {"DELETE", blockUsers, `{"messaging_product":"whatsapp","block_users":[{"user_id":"` + sheena + `"}]}`, 200},
		"an export":           {"GET", customers + "/" + sheena, "", 200},
		"an erasure":          {"DELETE", customers + "/" + sheena, "", 200},
		"contact requests":    {"GET", customers, "", 200},
		"text to a number":    {"POST", messages, `{"messaging_product":"whatsapp","to":"+1 650 555 1234","text":{"body":"x"}}`, 400},
		"both":                {"POST", messages, user(sheena, `,"to":"+1 650 555 1234","text":{"body":"x"}`), 400},
		"block of a number":   {"POST", blockUsers, users("+1 650 555 1234"), 400},
		"unblock of a number": {"DELETE", blockUsers, users("+1 650 555 1234"), 400},
		"export of a number":  {"GET", customers + "/+" + "1-650-555-1234", "", 400},
		"erasure of a number": {"DELETE", customers + "/" + url.PathEscape("1 650 555 1234"), "", 400},
	} {
		w := call(h, c.method, c.path, c.body)
		if w.Code != c.status || w.Code == http.StatusBadRequest && !strings.Contains(w.Body.String(), "privacy.shareNumbers") {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
		for _, n := range []string{digits, "16505559999", "16505558888", "wa_id"} {
			if strings.Contains(w.Body.String(), n) {
				t.Errorf("%s has %q: %s", what, n, w.Body)
			}
		}
	}
	if len(s.texts) != 1 {
		t.Errorf("%d texts went out", len(s.texts))
	}
	call(h, "DELETE", blockUsers, `{"messaging_product":"whatsapp","block_users":[{"user_id":"`+sheena+`"}]}`) // whichever of the above was last
	golden(t, "hidden-block-list", call(h, "GET", blockUsers, ""))
	golden(t, "hidden-to", call(h, "POST", messages, `{"messaging_product":"whatsapp","to":"+16505551234","text":{"body":"x"}}`))
}
