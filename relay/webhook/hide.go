package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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
	var p foreignPayload
	if json.Unmarshal(payload, &p) != nil || len(p.Entry) == 0 {
		return nil, errPayload
	}
	for _, e := range p.Entry {
		for i := range e.Changes {
			if err := a.settle(&e.Changes[i], user); err != nil {
				return nil, err
			}
		}
	}
	return encode(p)
}

// settle removes numbers from a change.
func (a Account) settle(c *foreignChange, user string) error {
	d := json.NewDecoder(bytes.NewReader(c.Value))
	d.UseNumber() // so that no number changes
	var v map[string]any
	if d.Decode(&v) != nil {
		return errPayload
	}
	if a.hideIn(v, user); shares(v) {
		return errPayload
	}
	var err error
	c.Value, err = encode(v)
	return err
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

// shares tells whether a value has a customer's number where its objects have one, also under a name that only some
// decoders take for it: they do not regard case.
func shares(v map[string]any) bool {
	for name, list := range v {
		if !isOneOf(name, "contacts", "messages", "statuses", "user_preferences") {
			continue
		}
		for _, o := range objects(list) {
			for field := range o {
				if isOneOf(field, "from", "recipient_id", "wa_id") {
					return true
				}
			}
		}
	}
	return false
}

func isOneOf(name string, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
