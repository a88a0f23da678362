package cloudapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// What team inboxes and bots send. The requests are our own, made from what they were seen to send; no code of theirs
// is here. Each answer is a golden file with what the tool reads.

const (
	ogg   = "OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead"
	proof = "&appsecret_proof=5e8b6221a9f6a18bc3f8904338ba1715531659e190bd0a29fb56eb8248056733"
)

// inbox returns the API of a business that an inbox was set up for.
func inbox(t *testing.T) (http.Handler, *service) {
	t.Helper()
	c := &clock{time.Unix(1_700_000_000, 0)}
	return withFile(t, func(o *cloudapi.Options) {
		o.Now, o.Number.AccountID, o.Number.Since, o.Number.Webhook = c.Now, accountID, c.now, "https://inbox.test/webhooks/whatsapp/+15550783881"
	})
}

func TestChatwoot_SavesAnInboxAndPolls(t *testing.T) {
	h, _ := inbox(t)
	for name, path := range map[string]string{
		"templates-none": "/v14.0/" + accountID + "/message_templates?access_token=" + token,
		"numbers":        "/v14.0/" + accountID + "/phone_numbers?fields=id&limit=100&access_token=" + token,
		"health": "/v22.0/" + numberID + "?fields=" + url.QueryEscape("id,quality_rating,whatsapp_business_manager_messaging_limit,status,"+
			"code_verification_status,account_mode,display_phone_number,name_status,verified_name,webhook_configuration,throughput,"+
			"last_onboarded_time,is_on_biz_app,platform_type") + "&access_token=" + token,
		"account": "/v22.0/" + accountID + "?fields=id,name,owner_business_info&access_token=" + token,
	} {
		golden(t, "chatwoot-"+name, fetch(h, http.MethodGet, path))
	}
}

func TestChatwoot_SendsItsMessages(t *testing.T) {
	h, s := inbox(t)
	body := func(fields string) string {
		return `{"messaging_product":"whatsapp","context":null,"to":"16505551234",` + fields + `}`
	}
	for name, fields := range map[string]string{
		"text":  `"recipient_type":"individual","text":{"body":"Hello"},"type":"text"`,
		"image": `"type":"image","image":{"id":"` + fileID + `","caption":"A photo"}`,
		"voice": `"type":"audio","audio":{"link":"https://inbox.test/rails/active_storage/note.ogg","voice":true}`,
		"buttons": `"type":"interactive","interactive":{"type":"button","body":{"text":"Which?"},` +
			`"action":"{\"buttons\":[{\"type\":\"reply\",\"reply\":{\"id\":\"a\",\"title\":\"A\"}}]}"}`,
	} {
		golden(t, "chatwoot-sends-"+name, ask(h, http.MethodPost, "/v13.0/"+numberID+"/messages", "application/json", body(fields)))
	}
	if len(s.texts) != 2 || len(s.attachments) != 2 || s.texts[0].ReplyTo != "" {
		t.Errorf("%d texts and %d files were sent", len(s.texts), len(s.attachments))
	}
}

func TestChatwoot_MovesFiles(t *testing.T) {
	h, s := inbox(t)
	golden(t, "chatwoot-uploads", upload(t, h, part{name: "messaging_product", content: "whatsapp"}, part{name: "type", content: "audio/ogg"},
		part{name: "file", file: "note.ogg", mime: "audio/ogg; codecs=opus", content: ogg}))
	if got := s.files[fileID].MIME; !strings.HasPrefix(got, "audio/ogg") {
		t.Errorf("the file is %s", got)
	}
	h, _ = inbox(t)
	golden(t, "chatwoot-describes", call(h, http.MethodGet, "/v13.0/"+fileID+"?phone_number_id="+numberID, ""))
	got := fetch(h, http.MethodGet, address(t, h).RequestURI(), "Authorization", "Bearer "+token)
	if got.Code != http.StatusOK || got.Header().Get("Content-Disposition") != "attachment; filename=a.png" || got.Header().Get("Content-Type") != "image/png" {
		t.Errorf("the download is %d %v", got.Code, got.Header())
	}
}

func TestChatwoot_SyncsAndMakesTemplates(t *testing.T) {
	h, _ := inbox(t)
	list := "/v14.0/" + accountID + "/message_templates"
	survey := `{"name":"customer_satisfaction_survey_1","language":"en","category":"UTILITY","components":[{"type":"BODY","text":"Please rate us"},` +
		`{"type":"BUTTONS","buttons":[{"type":"URL","text":"Rate","url":"https://inbox.test/survey/{{1}}","example":["12345"]}]}]}`
	golden(t, "chatwoot-creates-template", ask(h, http.MethodPost, list, "application/json", survey))
	golden(t, "chatwoot-finds-template", call(h, http.MethodGet, list+"?name=customer_satisfaction_survey_1", ""))
	ask(h, http.MethodPost, list, "application/json", strings.Replace(survey, "survey_1", "survey_2", 1))
	first := fetch(h, http.MethodGet, list+"?limit=1&access_token="+token)
	golden(t, "chatwoot-first-page", first)
	var page struct{ Paging struct{ Next string } }
	if err := json.Unmarshal(first.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	golden(t, "chatwoot-next-page", fetch(h, http.MethodGet, strings.TrimPrefix(page.Paging.Next, "https://acme.relay.test"))) // followed as it is
	golden(t, "chatwoot-sends-template", call(h, http.MethodPost, "/v13.0/"+numberID+"/messages", `{"messaging_product":"whatsapp","recipient_type":"individual",`+
		`"to":"16505551234","type":"template","template":{"name":"customer_satisfaction_survey_1","language":{"policy":"deterministic","code":"en"},`+
		`"components":[{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"abc"}]}]}}`))
	golden(t, "chatwoot-deletes-template", call(h, http.MethodDelete, list+"?name=customer_satisfaction_survey_1", ""))
}

func TestTypebot_ChecksItsCredentials(t *testing.T) {
	h, _ := inbox(t)
	hook := url.Values{"override_callback_uri": {"https://inbox.test/webhooks/whatsapp/+15550783881"}, "verify_token": {"x"}}.Encode()
	for name, q := range map[string]struct{ method, path, contentType, body string }{
		"token":          {"GET", "/v22.0/debug_token?input_token=" + token + proof, "", ""},
		"numbers":        {"GET", "/v22.0/" + accountID + "/phone_numbers?fields=id,display_phone_number&limit=100" + proof, "", ""},
		"number":         {"GET", "/v22.0/" + numberID + "?fields=display_phone_number" + proof, "", ""},
		"apps":           {"GET", "/v22.0/" + accountID + "/subscribed_apps", "", ""},
		"subscribes":     {"POST", "/v22.0/" + accountID + "/subscribed_apps", "", ""},
		"override":       {"POST", "/v22.0/" + accountID + "/subscribed_apps", "application/json", `{"override_callback_uri":"https://inbox.test/webhooks/whatsapp/+15550783881","verify_token":"x"}`},
		"override-form":  {"POST", "/v22.0/" + accountID + "/subscribed_apps", form, hook},
		"override-query": {"POST", "/v22.0/" + accountID + "/subscribed_apps?" + hook, "", ""},
		"override-other": {"POST", "/v22.0/" + accountID + "/subscribed_apps", "application/json", `{"override_callback_uri":"https://typebot.test/in","verify_token":"x"}`},
	} {
		golden(t, "typebot-"+name, ask(h, q.method, q.path, q.contentType, q.body))
	}
}

func TestTypebot_SendsWhatABotSays(t *testing.T) {
	h, s := inbox(t)
	golden(t, "typebot-uploads", upload(t, h, part{name: "file", file: "a.png", mime: "image/png", content: png},
		part{name: "messaging_product", content: "whatsapp"}))
	for name, fields := range map[string]string{
		"text":    `"type":"text","text":{"body":"Hi","preview_url":false}`,
		"image":   `"type":"image","image":{"id":"` + fileID + `"}`,
		"buttons": `"type":"interactive","interactive":{"type":"button","body":{"text":"Which?"},"action":{"buttons":[{"type":"reply","reply":{"id":"a","title":"A"}}]}}`,
		"list":    `"type":"interactive","interactive":{"type":"list","body":{"text":"Which?"},"action":{"button":"Choose","sections":[{"rows":[{"id":"a","title":"A"}]}]}}`,
		"typing":  `"status":"read","message_id":"` + wamid + `","typing_indicator":{"type":"text"}`,
	} {
		golden(t, "typebot-sends-"+name, ask(h, http.MethodPost, "/v22.0/"+numberID+"/messages", "application/json",
			`{"messaging_product":"whatsapp","to":"16505551234",`+fields+`}`))
	}
	if len(s.texts) != 3 || len(s.attachments) != 1 || len(s.reads) != 1 {
		t.Errorf("%d texts, %d files and %d reading marks were sent", len(s.texts), len(s.attachments), len(s.reads))
	}
}
