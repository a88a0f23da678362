package cloudapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piusalfred/whatsapp/business/analytics"
	"github.com/piusalfred/whatsapp/config"
	whttp "github.com/piusalfred/whatsapp/pkg/http"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

func (s *service) SentMessages(_ context.Context, from int64, back bool, limit int) (p cloudapi.SentPage, err error) {
	list := s.sent
	if back {
		list = slices.Clone(s.sent)
		slices.Reverse(list)
	}
	p.To = from
	for _, m := range list {
		if from != 0 && (back && m.Place <= from || !back && m.Place >= from) {
			continue
		}
		if p.More = len(p.Sent) == limit; p.More {
			break
		}
		p.Sent, p.To = append(p.Sent, m), m.Place
	}
	if back {
		slices.Reverse(p.Sent)
	}
	return p, s.err
}

func (s *service) SentByID(_ context.Context, id string) (cloudapi.SentMessage, error) {
	return s.oneSent(func(m cloudapi.SentMessage) bool { return m.ID == id })
}

func (s *service) SentAt(_ context.Context, place int64) (cloudapi.SentMessage, error) {
	return s.oneSent(func(m cloudapi.SentMessage) bool { return m.Place == place })
}

func (s *service) oneSent(is func(cloudapi.SentMessage) bool) (cloudapi.SentMessage, error) {
	if i := slices.IndexFunc(s.sent, is); i >= 0 && s.err == nil {
		return s.sent[i], nil
	}
	if s.err != nil {
		return cloudapi.SentMessage{}, s.err
	}
	return cloudapi.SentMessage{}, cloudapi.ErrUnknownMessage
}

func (s *service) SentCounts(_ context.Context, from, to time.Time) (found []cloudapi.SentCount, err error) {
	for _, c := range s.counts {
		if !c.Start.Before(from) && c.Start.Before(to) {
			found = append(found, c)
		}
	}
	return found, s.err
}

// withHistory returns a handler of a business that sent messages.
func withHistory(t *testing.T, s *service) http.Handler {
	t.Helper()
	at := func(after time.Duration) time.Time { return time.Unix(1_640_995_200, 0).Add(after) }
	s.sent = []cloudapi.SentMessage{
		{Place: 30, ID: "wamid.third", Events: nil},
		{Place: 20, ID: "wamid.second", Events: []cloudapi.SentEvent{
			{Status: "sent", At: at(time.Minute), Webhook: cloudapi.WebhookDelivered},
			{Status: "delivered", At: at(2 * time.Minute), Webhook: cloudapi.WebhookRetrying},
			{Status: "read", At: at(3 * time.Minute), Webhook: cloudapi.WebhookPending},
		}},
		{Place: 10, ID: "wamid.first", Events: []cloudapi.SentEvent{{Status: "sent", At: at(0)}, {Status: "failed", At: at(time.Second), Failure: "There is no such account."}}},
	}
	o := options(t, s)
	o.Number.AccountID, o.Number.Webhook, o.BaseURL = accountID, "https://shop.test/in", "https://acme.test"
	return cloudapi.New(o)
}

func TestHistory_SaysWhatBecameOfMessages(t *testing.T) {
	const events = "events{id,delivery_status,webhook_update_state,timestamp,application,webhook_uri,error_description}"
	list := numberID + "/message_history"
	for name, path := range map[string]string{
		"history":                 list,
		"history-events":          list + "?fields=id,message_id," + events,
		"history-whole-events":    list + "?fields=events&limit=2",
		"history-second-page":     list + "?limit=1&after=MzA&access_token=" + token,
		"history-page-before":     list + "?limit=1&before=MTA",
		"history-of-one":          list + "?message_id=wamid.second&fields=message_id,events{delivery_status}",
		"history-of-none":         list + "?message_id=wamid.none",
		"history-unknown-field":   list + "?fields=recipient",
		"history-unknown-nested":  list + "?fields=events{recipient}",
		"history-parameter":       list + "?fields=message_id.limit(1)",
		"history-too-many":        list + "?limit=101",
		"history-long-id":         list + "?message_id=" + strings.Repeat("x", 129),
		"history-bad-cursor":      list + "?after=x",
		"events":                  "20/events",
		"events-fields":           "20/events?fields=cursor,node{id,delivery_status,status_timestamp,application,webhook_update_state,webhook_uri,error_description}&limit=2",
		"events-whole":            "10/events?fields=node",
		"events-of-a-status":      "20/events?delivery_status=DELIVERED",
		"events-second-page":      "20/events?limit=1&after=MQ",
		"events-before":           "20/events?before=MQ",
		"events-unknown-status":   "20/events?delivery_status=GONE",
		"events-unknown-field":    "20/events?fields=edge",
		"events-unknown-nested":   "20/events?fields=node{recipient}",
		"events-of-none":          "40/events",
		"events-of-a-huge-number": strings.Repeat("9", 25) + "/events",
		"events-of-the-account":   accountID + "/events",
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, call(withHistory(t, &service{}), http.MethodGet, "/v25.0/"+path, ""))
		})
	}
}

// A client that follows the pages sees each message once.
func TestHistory_PagesLeadThroughAll(t *testing.T) {
	h := withHistory(t, &service{})
	var seen []string
	id := regexp.MustCompile(`wamid\.[a-z]+`)
	next := regexp.MustCompile(`"next":"https://acme.test([^"]+)"`)
	for path := "/v25.0/" + numberID + "/message_history?limit=1"; path != ""; {
		body := call(h, http.MethodGet, path, "").Body.String()
		seen = append(seen, id.FindString(body))
		path = ""
		if m := next.FindStringSubmatch(body); m != nil {
			path = strings.ReplaceAll(m[1], `\u0026`, "&")
		}
	}
	if want := []string{"wamid.third", "wamid.second", "wamid.first"}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}

// Without a webhook nothing is said of one.
func TestHistory_WithoutAWebhook(t *testing.T) {
	s := &service{}
	withHistory(t, s)
	o := options(t, s)
	o.Number.AccountID = accountID
	for _, path := range []string{"/" + numberID + "/message_history?fields=events", "/20/events?fields=node"} {
		if body := call(cloudapi.New(o), http.MethodGet, path, "").Body.String(); strings.Contains(body, "webhook") || strings.Contains(body, "application") || !strings.Contains(body, "READ") {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func counted(t *testing.T) *service {
	t.Helper()
	s := &service{}
	for _, c := range []struct {
		at              string
		sent, delivered int64
	}{{"2026-01-30T23:30:00Z", 5, 4}, {"2026-01-31T00:00:00Z", 3, 3}, {"2026-01-31T00:30:00Z", 1, 0}, {"2026-02-01T00:00:00Z", 2, 2}} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		s.counts = append(s.counts, cloudapi.SentCount{Start: at, Sent: c.sent, Delivered: c.delivered})
	}
	return s
}

func TestAnalytics_CountMessages(t *testing.T) {
	const from, to = ".start(1769814000)", ".end(1769990400)" // 2026-01-30 23:00 and 2026-02-02 00:00
	for name, params := range map[string]string{
		"analytics-half-hours":        from + to + ".granularity(HALF_HOUR)",
		"analytics-days":              from + to + `.granularity(DAY).phone_numbers([]).product_types([0,2,100]).country_codes([])`,
		"analytics-months":            from + to + `.granularity(MONTH).phone_numbers(["15550783881"])`,
		"analytics-within":            ".start(1769817601).end(1769817602).granularity(DAY)",
		"analytics-of-nothing":        ".start(0).end(1).granularity(DAY)",
		"analytics-nested":            from + to + ".granularity(DAY){data_points}",
		"analytics-without-params":    "",
		"analytics-without-end":       from + ".granularity(DAY)",
		"analytics-without-division":  from + to,
		"analytics-other-division":    from + to + ".granularity(WEEK)",
		"analytics-backwards":         ".start(1769990400).end(1769814000).granularity(DAY)",
		"analytics-no-time":           ".start(now).end(1769990400).granularity(DAY)",
		"analytics-far-future":        ".start(0).end(9223372036854775807).granularity(DAY)",
		"analytics-of-another-number": from + to + `.granularity(DAY).phone_numbers(["16505551234"])`,
		"analytics-of-a-country":      from + to + `.granularity(DAY).country_codes(["US"])`,
		"analytics-of-templates":      from + to + `.granularity(DAY).product_types([0])`,
		"analytics-no-list":           from + to + `.granularity(DAY).product_types(0)`,
		"analytics-unknown-param":     from + to + ".granularity(DAY).dimensions([])",
		"analytics-open":              ".start(1",
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, counted(t))
			o.Number.AccountID = accountID
			golden(t, name, call(cloudapi.New(o), http.MethodGet, "/v25.0/"+accountID+"?fields="+url.QueryEscape("analytics"+params), ""))
		})
	}
	for _, other := range []string{"name.start(1)", "conversation_analytics.start(1).end(2).granularity(DAILY)", "pricing_analytics.start(1).end(2).granularity(DAILY)"} {
		if w := call(whole(t, nil), http.MethodGet, "/"+accountID+"?fields="+url.QueryEscape(other), ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", other, w.Code)
		}
	}
}

func TestPublishedClient_ReadsAnalytics(t *testing.T) {
	o := options(t, counted(t))
	o.Number.AccountID = accountID
	server := httptest.NewServer(written().handler(cloudapi.New(o)))
	t.Cleanup(server.Close)
	c := &analytics.BaseClient{
		Sender: whttp.NewSender[analytics.Request](),
		Config: config.ReaderFunc(func(context.Context) (*config.Config, error) {
			return &config.Config{BaseURL: server.URL, APIVersion: "v23.0", AccessToken: token, BusinessAccountID: accountID}, nil
		}),
	}
	got, err := c.FetchGeneralAnalytics(t.Context(), &analytics.MessagingRequest{Start: 1769814000, End: 1769990400, Granularity: analytics.GranularityDay})
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Analytics.DataPoints; len(p) != 2 || p[0].Sent != 9 || p[0].Delivered != 7 || p[1].Sent != 2 {
		t.Errorf("decoded %+v", p)
	}
}
