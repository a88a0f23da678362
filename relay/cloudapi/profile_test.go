package cloudapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

func (s *service) Profile(context.Context) (cloudapi.Profile, error) { return s.profile, s.err }

func (s *service) PutProfile(_ context.Context, p cloudapi.Profile) error {
	s.profile = p
	return s.err
}

const profilePath = "/v27.0/" + numberID + "/whatsapp_business_profile"

// What a client says is shown where the BusinessRelay is silent, and stays until it says otherwise.
func TestProfile_IsWhatTheBusinessRelayAndThenTheClientSays(t *testing.T) {
	s := &service{}
	o := options(t, s)
	o.Number.Profile = cloudapi.Profile{About: "Plants"}
	api := cloudapi.New(o)
	post := func(fields string) {
		t.Helper()
		if w := call(api, http.MethodPost, profilePath, `{"messaging_product":"whatsapp",`+fields+`}`); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	post(`"about":"Plants","address":"1 Hacker Way","email":"hi@shop.test","vertical":"RETAIL","websites":["https://shop.test"]`)
	golden(t, "profile-said", call(api, http.MethodGet, profilePath, ""))
	post(`"address":"","websites":[],"vertical":"","description":"Open all year"`)
	golden(t, "profile-said-again", call(api, http.MethodGet, profilePath, ""))
	if s.profile.About != "" {
		t.Error("what the BusinessRelay says was kept as the client's")
	}
}

// Each refusal names the field, and changes nothing.
func TestProfile_RefusesWhatTheAPIDoes(t *testing.T) {
	for name, q := range map[string]struct {
		fields, param string
		status, code  int
	}{
		"another product":       {`"messaging_product":"mail"`, "messaging_product", 400, 131009},
		"no about":              {`"about":""`, "about", 400, 100},
		"a long about":          {`"about":"` + strings.Repeat("x", 140) + `"`, "about", 400, 100},
		"a long address":        {`"address":"` + strings.Repeat("x", 257) + `"`, "address", 400, 100},
		"a long description":    {`"description":"` + strings.Repeat("x", 513) + `"`, "description", 400, 100},
		"a long email":          {`"email":"` + strings.Repeat("x", 128) + `@"`, "email", 400, 100},
		"no email":              {`"email":"shop.test"`, "email", 400, 131009},
		"a number":              {`"about":7`, "about", 400, 100},
		"another vertical":      {`"vertical":"FARM"`, "vertical", 400, 131009},
		"three websites":        {`"websites":["https://a","https://b","https://c"]`, "websites", 400, 100},
		"a script":              {`"websites":["javascript:alert(1)"]`, "websites", 400, 131009},
		"a website's password":  {`"websites":["https://me:secret@shop.test"]`, "websites", 400, 131009},
		"a long website":        {`"websites":["https://shop.test/` + strings.Repeat("x", 256) + `"]`, "websites", 400, 131009},
		"a picture":             {`"profile_picture_handle":"4::x"`, "spec.profile.picture", 403, 131005},
		"another fixed email":   {`"address":"x","email":"other@shop.test"`, "spec.profile.email", 403, 131005},
		"a removed fixed email": {`"email":""`, "spec.profile.email", 403, 131005},
		"other fixed websites":  {`"websites":["https://other.test"]`, "spec.profile.websites", 403, 131005},
	} {
		s := &service{}
		o := options(t, s)
		o.Number.Profile = cloudapi.Profile{Email: "hi@shop.test", Websites: []string{"https://shop.test"}}
		w := call(cloudapi.New(o), http.MethodPost, profilePath, `{"messaging_product":"whatsapp",`+q.fields+`}`)
		if w.Code != q.status || !strings.Contains(w.Body.String(), fmt.Sprintf(`"code":%d,`, q.code)) || !strings.Contains(w.Body.String(), q.param) ||
			strings.Contains(w.Body.String(), "secret") || s.profile.Address != "" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := call(cloudapi.New(options(t, &service{})), http.MethodPost, profilePath, `{"about":"x"}`); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "131008") {
		t.Errorf("without messaging_product: %d %s", w.Code, w.Body)
	}
}
