package connect

import "fmt"

// typebot is for Typebot. It makes the verify token itself and forgets it with the first handshake, so the handshake is
// answered before it.
func typebot(r Relay) Guide {
	limits := []string{
		"Typebot refuses a token that ends (it wants \"Token expiration: Never\"), so the token needs another in its place from time to time: kubectl relay token create and revoke.",
		"Typebot makes its own verify token, accepts it once, and cannot make another for the same number. The relay makes the handshake whenever it starts, so Typebot alone stops receiving with the relay's next restart: " +
			"a proxy has to answer the handshake, as above.",
		"Typebot answers 400 to messages of types that it does not know, such as a customer's edit or revoke. The relay tries such a webhook for 7 days, and this customer's later messages wait behind it: " +
			"have the proxy answer 200 where messages[0].type is edit or revoke.",
		"Typebot sends the token in the query of GET /debug_token: let no proxy before the relay log queries.",
		"Its preview in the builder takes the system user token META_SYSTEM_USER_TOKEN and a template of its own; it was not looked at.",
	}
	if r.Shared != "" {
		limits = append(limits, "Do not give it the region's shared host, "+r.Shared+": Typebot checks its token with /debug_token, which is refused there. WHATSAPP_CLOUD_API_URL must be the relay's own address, as above.")
	}
	if r.HidesNumbers {
		limits = append(limits, "Typebot refuses statuses without recipient_id, and this relay tells no numbers (spec.privacy.shareNumbers: false): they do not work together.")
	}
	return Guide{
		Product: "Typebot", Version: "3.18.0", Page: "docs/guides/typebot.md",
		Steps: []Step{
			r.token("typebot", "send,read,media", "never"),
			{
				Title: "In the environment of Typebot's builder and viewer",
				Settings: append([]Setting{{"WHATSAPP_CLOUD_API_URL", r.Endpoint}},
					r.authority("NODE_EXTRA_CA_CERTS", "a file with what this prints: %s")...),
			},
			{
				Title: "In Typebot: Share, WhatsApp, add a number, provider Meta",
				Settings: []Setting{
					{"App secret", r.secret()},
					{"System User Token", "(the token of the first step)"},
					{"WhatsApp Business Account ID", r.BusinessAccountID},
					{"Phone number ID", r.PhoneNumberID},
				},
			},
			{
				Title: "Before Typebot's viewer, have a proxy answer the handshake and pass everything else on",
				Settings: []Setting{
					{"GET of the Callback URL", fmt.Sprintf("if hub.verify_token is %s: 200, text/plain, and the value of hub.challenge", r.verifyToken())},
					{"POST", "to the viewer, unchanged: the signature is over the bytes"},
				},
			},
			r.webhook("Have the relay deliver to the Callback URL that Typebot shows, then press Submit there", "https://VIEWER/api/v1/workspaces/WORKSPACE/whatsapp/CREDENTIALS/webhook"),
		},
		Limits: append(limits, r.common("Typebot")...),
	}
}
