package webhook

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// fieldPreferences is what webhooks about customers' preferences are about.
const fieldPreferences = "user_preferences"

// Preference says that a customer stops the business, or allows it again.
type Preference struct {
	Customer phone.Number
	User     string // the customer's user id
	Name     string // as in a Message
	Stop     bool
	Time     time.Time
}

// preference is its wire form (developers.facebook.com, "user_preferences webhook").
type preference struct {
	WaID      string `json:"wa_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
	Detail    string `json:"detail"`
	Category  string `json:"category"`
	Value     string `json:"value"`
	Timestamp int64  `json:"timestamp"`
}

// PreferencePayload returns the payload of a webhook for p.
func (a Account) PreferencePayload(p Preference) ([]byte, error) {
	w := preference{
		WaID: a.digits(p.Customer), UserID: p.User, Category: "marketing_messages", Value: "resume", Timestamp: p.Time.Unix(),
		Detail: "User requested to resume marketing messages",
	}
	if p.Stop {
		w.Value, w.Detail = "stop", "User requested to stop marketing messages"
	}
	return a.payloadOf(fieldPreferences, value{Contacts: []contact{a.contact(p.Customer, p.User, p.Name)}, Preferences: []preference{w}})
}
