package webhook

import (
	"bytes"
	"encoding/json"
)

// NotDelivered is the error of a customer's message whose content was lost before the business took it.
func NotDelivered() Error {
	return Error{
		Code: CodeNotDelivered, Title: "Webhook was not delivered within the retention limit",
		Details: "The relay keeps content in memory only, for at most an hour, and lost this message's before the webhook was accepted: ask the customer to send it once more.",
	}
}

// ContentGone is the error of the business's message whose content was lost before the customer had it.
func ContentGone(details string) Error {
	return Error{Code: CodeContentGone, Title: "Message content is no longer available", Details: details}
}

// Bare returns a finished payload without what anybody wrote: a status without the business's opaque data,
// and in a message's place one that says that its content was lost, with NotDelivered. It lists what stays, and leaves
// out all that it does not know. A payload that has nothing else is returned unchanged.
func Bare(data []byte) ([]byte, error) {
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, errPayload
	}
	for _, e := range p.Entry {
		for i := range e.Changes {
			e.Changes[i].Value.bare()
		}
	}
	bare, err := encode(p)
	if err == nil && bytes.Equal(bare, data) {
		bare = data
	}
	return bare, err
}

// bare takes out what anybody wrote.
func (v *value) bare() {
	for i := range v.Statuses {
		v.Statuses[i].Opaque = ""
	}
	for i, m := range v.Messages {
		kept := message{From: m.From, FromUser: m.FromUser, ID: m.ID, Timestamp: m.Timestamp}
		if m.Revoke != nil || m.System != nil || len(m.Errors) > 0 { // the relay's own words and ids
			kept.Context, kept.Type, kept.Unencrypted, kept.Clear = m.Context, m.Type, m.Unencrypted, m.Clear
			kept.Revoke, kept.System, kept.Errors, kept.Unsupported = m.Revoke, m.System, m.Errors, m.Unsupported
		} else {
			kept.Type, kept.Unsupported, kept.Errors = "unsupported", &unsupported{"unknown"}, wireErrors([]Error{NotDelivered()})
			v.Errors = kept.Errors
		}
		v.Messages[i] = kept
	}
}
