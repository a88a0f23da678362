package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
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
// and in a message's place one that says that its content was lost, with NotDelivered. Anything else is
// returned unchanged.
func Bare(data []byte) ([]byte, error) {
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, errPayload
	}
	changed := false
	for _, e := range p.Entry {
		for i := range e.Changes {
			if c := &e.Changes[i]; c.Field == fieldMessages {
				changed = c.Value.bare() || changed
			}
		}
	}
	if !changed {
		return data, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("encoding a webhook: %w", err)
	}
	return ascii(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// bare takes out what anybody wrote, and says whether there was something.
func (v *value) bare() (changed bool) {
	for i := range v.Statuses {
		changed = changed || v.Statuses[i].Opaque != ""
		v.Statuses[i].Opaque = ""
	}
	for i, m := range v.Messages {
		if m.Revoke != nil || m.System != nil || len(m.Errors) > 0 {
			continue // the relay's own words and ids
		}
		v.Messages[i] = message{
			From: m.From, FromUser: m.FromUser, ID: m.ID, Timestamp: m.Timestamp, Type: "unsupported",
			Unsupported: &unsupported{"unknown"}, Errors: wireErrors([]Error{NotDelivered()}),
		}
		v.Errors, changed = v.Messages[i].Errors, true
	}
	return changed
}
