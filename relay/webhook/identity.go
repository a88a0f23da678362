package webhook

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// CodeIdentity is the error code of a message whose recipient does not have the identity key
// that the business named.
const CodeIdentity = 137000

// IdentityMismatch is the error of a message that was not sent, because no device
// of its recipient has the identity key that the business named.
func IdentityMismatch() Error {
	return Error{
		Code: CodeIdentity, Title: "Identity key mismatch",
		Details: "No device of the recipient has the identity key of recipient_identity_key_hash. The message was not sent.",
	}
}

// Identity tells that a customer uses an identity key that the relay did not know: on a new
// device, or on one that had another key.
type Identity struct {
	ID       string
	Customer phone.Number
	User     string // the customer's user id
	Name     string // as the customer's client told it; empty: webhooks have the number, or the user id
	Time     time.Time
	// Hash names the key in recipient_identity_key_hash.
	Hash string
	// Fingerprint is the key as the customer's client shows it.
	Fingerprint string
	// NewDevice says that the device is new, and not only its key.
	NewDevice bool
	// Accepted says that messages go to the device. Otherwise nothing goes there
	// until the business names Hash in a message.
	Accepted bool
}

// system is the wire form of a system event among the messages. Accepted is the relay's own
// field; clients of the Cloud API ignore unknown fields in webhooks.
type system struct {
	Body     string `json:"body"`
	Type     string `json:"type"`
	Identity string `json:"identity"`
	Customer string `json:"customer,omitempty"`
	Accepted bool   `json:"accepted"`
}

// IdentityPayload returns the payload of a webhook for i.
func (a Account) IdentityPayload(i Identity) ([]byte, error) {
	customer := a.digits(i.Customer)
	return a.payload(value{
		// The API's documentation has none here, but receivers read the first contact of every
		// message.
		Contacts: []contact{a.contact(i.Customer, i.User, i.Name)},
		Messages: []message{{
			From: customer, FromUser: i.User, ID: i.ID, Timestamp: unix(i.Time), Type: "system",
			System: &system{
				Body: i.body(), Type: "customer_identity_changed", Identity: i.Hash, Customer: customer, Accepted: i.Accepted,
			},
		}},
	})
}

// body describes the event to a person.
func (i Identity) body() string {
	what := "A device of the customer has a new identity key. "
	if i.NewDevice {
		what = "The customer has a new device. "
	}
	then := "Messages go to it (trust: blind). "
	if !i.Accepted {
		then = "Nothing is sent to it, and nothing it sends is read, until a message names this key in recipient_identity_key_hash (trust: firstUse). "
	}
	return what + then + "Its fingerprint is " + i.Fingerprint
}
