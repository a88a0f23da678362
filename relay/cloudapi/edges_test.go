package cloudapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

const accountID = "102290129340398"

// whole returns a handler with everything that an object may say about a number.
func whole(t *testing.T, change func(o *cloudapi.Options)) http.Handler {
	t.Helper()
	o := options(t, &service{})
	o.Number.AccountID, o.Number.Since, o.Number.Webhook = accountID, time.Unix(1_700_000_000, 0), "https://shop.test/in"
	o.Number.Profile = cloudapi.Profile{About: "Plants", Email: "hi@shop.test", Vertical: "RETAIL", Websites: []string{"https://shop.test"}}
	if change != nil {
		change(&o)
	}
	return cloudapi.New(o)
}

// What clients ask for before they send their first message.
func TestEdgesThatClientsCallFirst(t *testing.T) {
	poll := "id,quality_rating,whatsapp_business_manager_messaging_limit,status,code_verification_status,account_mode,display_phone_number,name_status," +
		"verified_name,webhook_configuration,throughput,last_onboarded_time,is_on_biz_app,platform_type"
	for name, path := range map[string]string{
		"edge-account":              accountID,
		"edge-account-fields":       accountID + "?fields=id,name,owner_business_info",
		"edge-account-health":       accountID + "?fields=health_status",
		"edge-account-unknown":      accountID + "?fields=credit_line",
		"edge-numbers":              accountID + "/phone_numbers",
		"edge-numbers-fields":       accountID + "/phone_numbers?fields=id,display_phone_number&limit=100",
		"edge-numbers-second-page":  accountID + "/phone_numbers?after=MQ",
		"edge-numbers-unknown":      accountID + "/phone_numbers?fields=owner",
		"edge-subscribed":           accountID + "/subscribed_apps",
		"edge-number-poll":          numberID + "?fields=" + poll,
		"edge-number-health":        numberID + "?fields=health_status",
		"edge-profile":              numberID + "/whatsapp_business_profile",
		"edge-profile-fields":       numberID + "/whatsapp_business_profile?fields=about,description,profile_picture_url",
		"edge-profile-unknown":      numberID + "/whatsapp_business_profile?fields=rating",
		"edge-me":                   "me?fields=id,name",
		"edge-permissions":          "me/permissions",
		"edge-token":                "debug_token?input_token=" + token,
		"edge-token-unknown":        "debug_token?input_token=x",
		"edge-token-none":           "debug_token",
		"edge-of-the-account-alone": numberID + "/phone_numbers",
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, call(whole(t, nil), http.MethodGet, "/v27.0/"+path, "")) })
	}
}

func TestEdges_NeedTheToken(t *testing.T) {
	for _, path := range []string{accountID, accountID + "/phone_numbers", "me", "me/permissions", "debug_token?input_token=" + token} {
		if w := fetch(whole(t, nil), http.MethodGet, "/v27.0/"+path); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestHealth_SaysWhatKeepsMessagesBack(t *testing.T) {
	full := cloudapi.Problem{Blocks: true, Description: "the volume is full", Solution: "enlarge it"}
	slow := cloudapi.Problem{Description: "the carrier is down", Solution: "wait"}
	for name, problems := range map[string][]cloudapi.Problem{"health-blocked": {slow, full}, "health-limited": {slow}} {
		h := whole(t, func(o *cloudapi.Options) { o.Problems = func() []cloudapi.Problem { return problems } })
		golden(t, name, call(h, http.MethodGet, "/"+numberID+"?fields=health_status", ""))
	}
}

// The BusinessRelay says where webhooks go. A client that sets the same has what it wants.
func TestWebhook_IsReadOnlyAndEqualIsSuccess(t *testing.T) {
	number, apps := "/"+numberID, "/"+accountID+"/subscribed_apps"
	for _, q := range []struct {
		path, body string
		status     int
	}{
		{number, `{"webhook_configuration":{"override_callback_uri":"https://shop.test/in","verify_token":"x"}}`, 200},
		{number, `{"webhook_configuration":{"override_callback_uri":""}}`, 200},
		{number, `{"webhook_configuration":{"override_callback_uri":"https://evil.test/in"}}`, 403},
		{number, `{"pin":"123456"}`, 403},
		{number, `{}`, 400},
		{apps, ``, 200},
		{apps, `{"override_callback_uri":"https://shop.test/in","verify_token":"x"}`, 200},
		{apps, `{"override_callback_uri":"https://evil.test/in","verify_token":"x"}`, 403},
		{apps + "?override_callback_uri=" + url.QueryEscape("https://evil.test/in"), ``, 403},
	} {
		w := call(whole(t, nil), http.MethodPost, q.path, q.body)
		if w.Code != q.status || strings.Contains(w.Body.String(), "evil") {
			t.Errorf("%s %s: %d %s", q.path, q.body, w.Code, w.Body)
		}
	}
	none := whole(t, func(o *cloudapi.Options) { o.Number.Webhook = "" })
	if w := call(none, http.MethodPost, apps, ""); w.Code != http.StatusForbidden {
		t.Errorf("subscribing without a webhook: %d", w.Code)
	}
	if w := call(none, http.MethodGet, apps, ""); w.Body.String() != `{"data":[]}` {
		t.Errorf("without a webhook: %s", w.Body)
	}
}

func TestDebugToken_FormerTokenExpires(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	h := whole(t, func(o *cloudapi.Options) {
		o.Now, o.Former = c.Now, cloudapi.FormerToken{Token: "former", Until: c.now.Add(time.Hour)}
	})
	ask := func() string { return call(h, http.MethodGet, "/debug_token?input_token=former", "").Body.String() }
	if got := ask(); !strings.Contains(got, `"expires_at":1700003600`) {
		t.Errorf("before its end: %s", got)
	}
	c.now = c.now.Add(time.Hour)
	if got := ask(); !strings.Contains(got, `"is_valid":false`) {
		t.Errorf("after its end: %s", got)
	}
}
