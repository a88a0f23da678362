package cloudapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// interactive is a message of that content.
func interactive(content string) string {
	return `{"messaging_product":"whatsapp","to":"16505551234","type":"interactive","context":null,"interactive":` + content + `}`
}

func sameNumber() cmp.Option { return cmp.Comparer(func(a, b phone.Number) bool { return a == b }) }

func TestInteractive_BecomesATextWithChoices(t *testing.T) {
	yesNo := `"buttons":[{"type":"reply","reply":{"id":"y","title":"Yes"}},{"type":"reply","reply":{"id":7,"title":"No"}}]`
	for name, tt := range map[string]struct {
		content string
		want    cloudapi.Text
	}{
		"button": {
			`{"type":"button","header":{"type":"text","text":"Order 7"},"body":{"text":"Now?"},"footer":{"text":"Lucky Shrub"},"action":{` + yesNo + `}}`,
			cloudapi.Text{
				Body: "Order 7\n\nNow?\n\n1. Yes\n2. No\n\nLucky Shrub", ChoiceKind: cloudapi.ButtonReply,
				Choices: []rich.Choice{{ID: "y", Title: "Yes"}, {ID: "7", Title: "No"}},
			},
		},
		"an action in a string": {
			`{"type":"button","body":{"text":"Now?"},"action":"{` + strings.ReplaceAll(yesNo, `"`, `\"`) + `}"}`,
			cloudapi.Text{Body: "Now?\n\n1. Yes\n2. No", ChoiceKind: cloudapi.ButtonReply, Choices: []rich.Choice{{ID: "y", Title: "Yes"}, {ID: "7", Title: "No"}}},
		},
		"list": {
			`{"type":"list","body":{"text":"Which?"},"action":{"button":"Drinks","sections":[{"title":"Hot","rows":[{"id":"t","title":"Tea","description":"green"}]},` +
				`{"title":"Cold","rows":[{"id":"w","title":"Water"}]}]}}`,
			cloudapi.Text{
				Body: "Which?\n\nHot\n1. Tea – green\n\nCold\n2. Water", ChoiceKind: cloudapi.ListReply,
				Choices: []rich.Choice{{ID: "t", Title: "Tea", Description: "green"}, {ID: "w", Title: "Water"}},
			},
		},
		"cta_url": {
			`{"type":"cta_url","body":{"text":"Look"},"action":{"name":"cta_url","parameters":{"display_text":"Shop","url":"https://shop.test/?a=b"}}}`,
			cloudapi.Text{Body: "Look\n\nShop: https://shop.test/?a=b"},
		},
		"location request": {
			`{"type":"location_request_message","body":{"text":"Where are you?"},"action":{"name":"send_location"}}`,
			cloudapi.Text{Body: "Where are you?"},
		},
	} {
		s := &service{}
		w := call(cloudapi.New(options(t, s)), http.MethodPost, messages, interactive(tt.content))
		tt.want.To = mustNumber(t, "+16505551234")
		if diff := cmp.Diff([]cloudapi.Text{tt.want}, s.texts, sameNumber()); w.Code != 200 || diff != "" {
			t.Errorf("%s: %d %s\n%s", name, w.Code, w.Body, diff)
		}
	}
}

func TestLocation_BecomesATextWithAGeoURI(t *testing.T) {
	for location, want := range map[string]string{
		`{"latitude":"37.483307","longitude":"122.148981","name":"Lucky Shrub","address":"1 Hacker Way"}`: "Lucky Shrub\n1 Hacker Way\ngeo:37.483307,122.148981",
		`{"latitude":-37.5,"longitude":1e2}`: "geo:-37.5,100",
	} {
		s := &service{}
		w := call(cloudapi.New(options(t, s)), http.MethodPost, messages, `{"messaging_product":"whatsapp","to":"16505551234","type":"location","location":`+location+`}`)
		if w.Code != 200 || len(s.texts) != 1 || s.texts[0].Body != want {
			t.Errorf("%s: %d, %+v", location, w.Code, s.texts)
		}
	}
}

// Each refusal names the parameter, and nothing is sent.
func TestInteractive_RefusesWhatTheAPIDoes(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	button := func(reply string) string {
		return interactive(`{"type":"button","body":{"text":"x"},"action":{"buttons":[` + reply + `]}}`)
	}
	rows := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"id":"%d","title":"t%d"}`, i, i))
		}
		return strings.Join(all, ",")
	}
	list := func(sections string) string {
		return interactive(`{"type":"list","body":{"text":"x"},"action":{"button":"b","sections":[` + sections + `]}}`)
	}
	link := func(parameters string) string {
		return interactive(`{"type":"cta_url","body":{"text":"x"},"action":{"name":"cta_url","parameters":` + parameters + `}}`)
	}
	place := func(l string) string {
		return `{"messaging_product":"whatsapp","to":"16505551234","type":"location","location":` + l + `}`
	}
	for name, q := range map[string]struct {
		body, param string
		code        int
	}{
		"nothing":               {`{"messaging_product":"whatsapp","to":"16505551234","type":"interactive"}`, "interactive", 131008},
		"no type":               {interactive(`{}`), "interactive.type", 131008},
		"unknown type":          {interactive(`{"type":"product","action":{}}`), "button, list, cta_url", 131051},
		"no body":               {interactive(`{"type":"button","action":{}}`), "interactive.body.text", 131008},
		"no action":             {interactive(`{"type":"button","body":{"text":"x"}}`), "interactive.action", 131008},
		"an action of nonsense": {interactive(`{"type":"button","body":{"text":"x"},"action":"x"}`), "JSON", 100},
		"a picture above":       {interactive(`{"type":"button","header":{"type":"image"},"body":{"text":"x"},"action":{}}`), "interactive.header.type", 131009},
		"long body":             {interactive(`{"type":"button","body":{"text":"` + long(1025) + `"},"action":{}}`), "interactive.body.text", 100},
		"long body of a list":   {interactive(`{"type":"list","body":{"text":"` + long(4097) + `"},"action":{}}`), "interactive.body.text", 100},
		"long header":           {interactive(`{"type":"button","header":{"type":"text","text":"` + long(61) + `"},"body":{"text":"x"},"action":{}}`), "interactive.header.text", 100},
		"long footer":           {interactive(`{"type":"button","footer":{"text":"` + long(61) + `"},"body":{"text":"x"},"action":{}}`), "interactive.footer.text", 100},
		"no buttons":            {button(``), "interactive.action.buttons", 100},
		"four buttons":          {button(strings.Repeat(`{"reply":{"id":"1","title":"a"}},`, 3) + `{}`), "interactive.action.buttons", 100},
		"another button":        {button(`{"type":"url"}`), "interactive.action.buttons.type", 131009},
		"the same id":           {button(`{"reply":{"id":"1","title":"a"}},{"reply":{"id":"1","title":"b"}}`), "unique", 100},
		"the same title":        {button(`{"reply":{"id":"1","title":"a"}},{"reply":{"id":"2","title":"a"}}`), "unique", 100},
		"no title":              {button(`{"reply":{"id":"1"}}`), "interactive.action.buttons.reply.title", 131008},
		"no id":                 {button(`{"reply":{"title":"a"}}`), "interactive.action.buttons.reply.id", 131008},
		"long title":            {button(`{"reply":{"id":"1","title":"` + long(21) + `"}}`), "interactive.action.buttons.reply.title", 100},
		"long id":               {button(`{"reply":{"id":"` + long(257) + `","title":"a"}}`), "interactive.action.buttons.reply.id", 100},
		"eleven rows":           {list(`{"title":"a","rows":[` + rows(11) + `]}`), "interactive.action.sections", 100},
		"no rows":               {list(`{"title":"a","rows":[]}`), "interactive.action.sections", 100},
		"eleven sections":       {list(strings.Repeat(`{"title":"a"},`, 10) + `{"title":"a"}`), "interactive.action.sections", 100},
		"a section of no title": {list(`{"rows":[` + rows(1) + `]},{"title":"a"}`), "interactive.action.sections.title", 131008},
		"long description":      {list(`{"rows":[{"id":"1","title":"a","description":"` + long(73) + `"}]}`), "interactive.action.sections.rows.description", 100},
		"a list of no button":   {interactive(`{"type":"list","body":{"text":"x"},"action":{"sections":[{"rows":[` + rows(1) + `]}]}}`), "interactive.action.button", 131008},
		"no link":               {link(`null`), "interactive.action.parameters", 131008},
		"a link of a script":    {link(`{"display_text":"a","url":"javascript:alert(1)"}`), "interactive.action.parameters.url", 131009},
		"a link of no name":     {link(`{"url":"https://shop.test"}`), "interactive.action.parameters.display_text", 131008},
		"another request":       {interactive(`{"type":"location_request_message","body":{"text":"x"},"action":{"name":"x"}}`), "interactive.action.name", 131009},
		"no location":           {`{"messaging_product":"whatsapp","to":"16505551234","type":"location"}`, "location", 131008},
		"no longitude":          {place(`{"latitude":1}`), "location.longitude", 131008},
		"words":                 {place(`{"latitude":"north","longitude":1}`), "location.latitude", 131009},
		"not a number":          {place(`{"latitude":"NaN","longitude":1}`), "location.latitude", 131009},
		"off the Earth":         {place(`{"latitude":91,"longitude":1}`), "location.latitude", 131009},
		"a list as degrees":     {place(`{"latitude":[],"longitude":1}`), "location.latitude", 100},
		"a long name":           {place(`{"latitude":1,"longitude":1,"name":"` + long(1001) + `"}`), "location.name", 100},
	} {
		s := &service{}
		w := call(cloudapi.New(options(t, s)), http.MethodPost, messages, q.body)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), fmt.Sprintf(`"code":%d,`, q.code)) || !strings.Contains(w.Body.String(), q.param) || len(s.texts) != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
