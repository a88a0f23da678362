package cloudapi

import (
	"cmp"
	"net/http"
	"time"
)

// defaultFields are the fields of a number that are shown when the request names none.
const defaultFields = "verified_name,display_phone_number,quality_rating"

// number serves GET /{phone-number-id}?fields=…, which clients call to check that their token
// works.
func (a *API) number(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	return show(r, a.Number.ID, defaultFields, a.field)
}

// unlimitedTier is the tier of a number that may write to as many strangers as it likes.
const unlimitedTier = "TIER_UNLIMITED"

// field returns one field of the number.
func (a *API) field(name string) (any, bool) {
	switch name {
	case "webhook_configuration":
		return a.webhookConfiguration(), true
	case "last_onboarded_time":
		return graphTime(a.Number.Since), true
	case "health_status":
		return a.health("PHONE_NUMBER", a.Number.ID), true
	case "whatsapp_business_manager_messaging_limit", "messaging_limit_tier":
		return a.Tier(), true
	}
	return OtherNumber{ID: a.Number.ID, Phone: a.Number.Phone, Name: a.Number.Name, Quality: a.Quality(), Connected: true}.field(name)
}

// otherField returns one field of another relay's number. What only that relay knows is left out.
func otherField(n OtherNumber) func(name string) (any, bool) {
	return func(name string) (any, bool) {
		switch name {
		case "webhook_configuration", "last_onboarded_time", "health_status", "whatsapp_business_manager_messaging_limit", "messaging_limit_tier":
			return leftOut{}, true
		}
		return n.field(name)
	}
}

// field returns one field of those that are known of every number of the business account.
func (n OtherNumber) field(name string) (any, bool) {
	quality := cmp.Or(n.Quality, "UNKNOWN")
	switch name {
	case "id":
		return n.ID, true
	case "display_phone_number":
		return n.Phone.E164(), true
	case "verified_name":
		return n.Name, true
	case "name_status":
		return "APPROVED", true
	case "quality_rating":
		return quality, true
	case "quality_score":
		return map[string]string{"score": quality}, true
	case "status":
		if n.Connected {
			return "CONNECTED", true
		}
		return "DISCONNECTED", true
	case "code_verification_status":
		return "VERIFIED", true
	case "platform_type":
		return "CLOUD_API", true
	case "account_mode":
		return "LIVE", true
	case "throughput":
		return map[string]string{"level": "STANDARD"}, true
	case "is_on_biz_app", "is_official_business_account", "is_pin_enabled":
		return false, true
	}
	return nil, false
}

// graphTime is a time as Graph objects have it; nil, which is JSON's null, when it is not known.
func graphTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05-0700")
}

// webhookConfiguration says where webhooks go. The BusinessRelay has one webhook, which is the
// application's.
func (a *API) webhookConfiguration() map[string]string {
	if a.Number.Webhook == "" {
		return map[string]string{}
	}
	return map[string]string{"application": a.Number.Webhook}
}

// webhookOverride is a webhook that a client wants to set.
type webhookOverride struct {
	URI string `json:"override_callback_uri"`
	// Token makes no difference: the relay has the verify token.
	Token identifier `json:"verify_token"`
}

// numberRequest has the parameters of a POST to the number.
type numberRequest struct {
	Webhook *webhookOverride `json:"webhook_configuration"`
	PIN     *string          `json:"pin"`
}

// configureNumber serves POST /{phone-number-id}. The BusinessRelay decides what can be set there:
// a client may only repeat its value.
func (a *API) configureNumber(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q numberRequest
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	switch {
	case q.PIN != nil:
		return nil, errDenied("A relay has no PIN: anyone who may change the BusinessRelay controls the number.")
	case q.Webhook == nil:
		return nil, errMissing("webhook_configuration")
	}
	return a.override(*q.Webhook)
}

// override answers a client that sets the webhook.
func (a *API) override(q webhookOverride) (any, error) {
	if q.URI != "" && q.URI != a.Number.Webhook {
		return nil, errDenied("Param override_callback_uri: the webhook's URL is set in the BusinessRelay (spec.webhook.url).")
	}
	return success{true}, nil
}
