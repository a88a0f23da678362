package connect

import (
	"bytes"
	"encoding/json"
)

// chatwoot is for Chatwoot. Its inbox is made with its REST API, because its wizard goes to graph.facebook.com. The source
// embedded_signup keeps Chatwoot from registering a webhook there when the inbox is made, with the token; it then requires
// a signature, which the inbox's app_secret verifies.
func chatwoot(r Relay) Guide {
	const callback = "https://CHATWOOT/webhooks/whatsapp/"
	base, trust := r.Endpoint, r.authority("SSL_CERT_FILE", "a file with the public authorities and what this prints: %s")
	whole := "WHATSAPP_CLOUD_BASE_URL is one for the whole installation: all its WhatsApp Cloud inboxes then go to this relay. For several relays, have the region give them a shared host (endpoint.shared), or take another Chatwoot."
	if r.Shared != "" {
		base, trust = r.Shared, nil // the gateway's certificate
		whole = "WHATSAPP_CLOUD_BASE_URL is one for the whole installation: it is the region's shared host, so inboxes of other relays that have it (endpoint.shared) work in the same Chatwoot. " +
			"The gateway terminates TLS there, and can read what Chatwoot and the relay exchange."
	}
	limits := []string{
		whole,
		"Chatwoot's setup wizard goes to graph.facebook.com whatever the base URL is, and so do its health poll every six hours and the deletion of such an inbox: all with the token. " +
			"Let that name lead to 127.0.0.1 in its pods (hostAliases). Its page on the inbox's health then shows errors.",
		"Without source embedded_signup, Chatwoot registers a webhook at graph.facebook.com when the inbox is made; when that fails, it takes the inbox for disconnected and drops what customers write.",
		"Chatwoot keeps the token, the secret and the verify token in its database, in clear, for everyone who may see an inbox's settings.",
		"After kubectl relay rotate " + r.Name + " access, change app_secret and webhook_verify_token of the inbox within 24 hours.",
	}
	if r.MaxUpdates > 1 {
		limits = append(limits, "Chatwoot reads the first update of a webhook only, and this relay sends several in one: set spec.webhook.maxUpdates to 1.")
	}
	if r.HidesNumbers {
		limits = append(limits, "This relay tells no numbers (spec.privacy.shareNumbers: false). Whether Chatwoot works with user ids alone was not tried.")
	}
	return Guide{
		Product: "Chatwoot", Version: "4.18", Page: "docs/guides/chatwoot.md",
		Steps: []Step{
			r.token("chatwoot", "send,read,media,templates", "90d"),
			{
				Title:    "In the environment of Chatwoot's web and worker processes",
				Settings: append([]Setting{{"WHATSAPP_CLOUD_BASE_URL", base}}, trust...),
			},
			{
				Title: "Make the inbox: POST this to https://CHATWOOT/api/v1/accounts/ACCOUNT/inboxes with the header api_access_token of an administrator",
				Text:  chatwootInbox(r),
			},
			r.webhook("Have the relay deliver to the inbox", callback+r.PhoneNumber),
		},
		Limits: append(limits, r.common("Chatwoot")...),
	}
}

// chatwootInbox is what Chatwoot's REST API takes to make an inbox.
func chatwootInbox(r Relay) string {
	type config struct {
		APIKey            string `json:"api_key"`
		PhoneNumberID     string `json:"phone_number_id"`
		BusinessAccountID string `json:"business_account_id"`
		Source            string `json:"source"`
		AppSecret         string `json:"app_secret"`
		VerifyToken       string `json:"webhook_verify_token"`
	}
	type channel struct {
		Type        string `json:"type"`
		Provider    string `json:"provider"`
		PhoneNumber string `json:"phone_number"`
		Config      config `json:"provider_config"`
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	_ = e.Encode(struct { // strings always encode
		Name    string  `json:"name"`
		Channel channel `json:"channel"`
	}{
		Name: r.Name,
		Channel: channel{
			Type: "whatsapp", Provider: "whatsapp_cloud", PhoneNumber: r.PhoneNumber,
			Config: config{
				APIKey: "(the token of the first step)", PhoneNumberID: r.PhoneNumberID, BusinessAccountID: r.BusinessAccountID,
				Source: "embedded_signup", AppSecret: r.secret(), VerifyToken: r.verifyToken(),
			},
		},
	})
	return out.String()
}
