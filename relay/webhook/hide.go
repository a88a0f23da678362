package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// errPayload says that a payload is not one of ours. It repeats nothing of it.
var errPayload = errors.New("a webhook that waits is no payload of this relay's")

// Settled returns a finished payload as it may be delivered now. A payload that was finished while the
// business was told numbers, and waits to be delivered when it no longer is, loses them. User is the
// customer's user id, for payloads of relays that did not know any; it may be empty.
func (a Account) Settled(payload []byte, user string) ([]byte, error) {
	if !a.HideNumbers {
		return payload, nil
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber() // so that no number changes
	var p map[string]any
	if err := d.Decode(&p); err != nil {
		return nil, errPayload
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errPayload
	}
	for _, e := range objects(p["entry"]) {
		for _, c := range objects(e["changes"]) {
			v, _ := c["value"].(map[string]any)
			a.hideIn(v, user)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("encoding a webhook: %w", err)
	}
	return ascii(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// hideIn removes numbers from a payload's value.
func (a Account) hideIn(v map[string]any, user string) {
	var digits any // the customer's
	for _, m := range objects(v["messages"]) {
		digits = m["from"]
		replace(m, "from", "from_user_id", user)
		if system, ok := m["system"].(map[string]any); ok {
			delete(system, "customer")
		}
		if about, ok := m["context"].(map[string]any); ok && about["from"] != a.Phone.Digits() {
			replace(about, "from", "from_user_id", user)
		}
	}
	for _, s := range objects(v["statuses"]) {
		if _, toNumber := s["recipient_id"]; toNumber {
			delete(s, "recipient_id")
			delete(s, "recipient_user_id")
			delete(v, "contacts")
		}
	}
	for _, p := range objects(v["user_preferences"]) {
		replace(p, "wa_id", "user_id", user)
	}
	for _, c := range objects(v["contacts"]) {
		if digits == nil {
			digits = c["wa_id"]
		}
		replace(c, "wa_id", "user_id", user)
		profile, _ := c["profile"].(map[string]any)
		if profile != nil && profile["name"] == digits {
			profile["name"] = user
			if own, ok := c["user_id"].(string); ok {
				profile["name"] = own
			}
		}
	}
}

// replace removes a field, and writes the user id into another unless that is there already.
func replace(object map[string]any, number, id, user string) {
	delete(object, number)
	if _, there := object[id]; !there && user != "" {
		object[id] = user
	}
}

// objects returns the objects of a list.
func objects(list any) (found []map[string]any) {
	all, _ := list.([]any)
	for _, one := range all {
		if o, ok := one.(map[string]any); ok {
			found = append(found, o)
		}
	}
	return found
}
