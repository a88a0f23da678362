package connect

import "fmt"

// n8n is for n8n, whose WhatsApp nodes know one address only.
func n8n(r Relay) Guide {
	limits := []string{
		"n8n's nodes \"WhatsApp Business Cloud\" and \"WhatsApp Trigger\" are fixed to graph.facebook.com: neither can use a relay.",
		"Do not put the token into n8n's credential \"WhatsApp API\": its test and its nodes send it to graph.facebook.com. Nor into a node's parameters or a URL, which are in exports and execution data.",
		"A webhook may come twice: look for the message's id before you act on it.",
	}
	if r.Shared != "" {
		limits = append(limits, "The region's shared host works as well, for workflows of several relays: "+r.Shared+" in place of "+r.Endpoint+". /me and /debug_token are refused there.")
	}
	if r.MaxUpdates > 1 {
		limits = append(limits, "This relay sends several updates in one webhook (spec.webhook.maxUpdates): go through every entry's every change, messages and statuses.")
	}
	if r.HidesNumbers {
		limits = append(limits, "This relay tells no numbers (spec.privacy.shareNumbers: false): send to \"recipient\" with a user id in place of \"to\".")
	}
	steps := []Step{r.token("n8n", "send", "90d")}
	if trust := r.authority("NODE_EXTRA_CA_CERTS", "a file with what this prints: %s"); trust != nil {
		steps = append(steps, Step{Title: "In the environment of n8n", Settings: trust})
	}
	steps = append(steps,
		Step{
			Title:    "In a credential of the type Header Auth",
			Settings: []Setting{{"Name", "Authorization"}, {"Value", "Bearer (the token of the first step)"}},
		},
		Step{
			Title: "In an HTTP Request node, which sends",
			Settings: []Setting{
				{"Method", "POST"},
				{"URL", fmt.Sprintf("%s/v25.0/%s/messages", r.Endpoint, r.PhoneNumberID)},
				{"Authentication", "Generic Credential Type, Header Auth"},
				{"JSON", `{"messaging_product":"whatsapp","to":"16505551234","type":"text","text":{"body":"Hello"}}`},
			},
		},
		Step{
			Title: "In a Webhook node, which receives",
			Settings: []Setting{
				{"Allow Multiple HTTP Methods", "on (Settings); GET and POST"},
				{"Respond", "Using 'Respond to Webhook' Node"},
				{"Raw Body", "on (Options)"},
				{"GET", fmt.Sprintf("if query hub.verify_token is %s: 200, and the value of hub.challenge as text", r.verifyToken())},
				{"POST", fmt.Sprintf("200; believe it only if the header x-hub-signature-256 is sha256= and the HMAC-SHA256 in hexadecimal of the raw body under %s", r.secret())},
			},
		},
		r.webhook("Have the relay deliver to the node's Production URL", "https://N8N/webhook/PATH"),
	)
	return Guide{
		Product: "n8n", Version: "2.41", Page: "docs/guides/n8n.md",
		Steps: steps, Limits: append(limits, r.common("n8n")...),
	}
}
