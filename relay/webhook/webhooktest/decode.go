// Package webhooktest reads webhooks as a business's receiver would, for tests. It must not share
// types with the code that makes them: it only reads the JSON.
package webhooktest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Update is a customer's message, a notice of the system, or the status of a message
// that the business sent.
type Update struct {
	ID     string
	From   string // of a message: the customer, digits only
	Name   string // of a message: the customer's, else their number
	Type   string // of a message: text, image, unsupported and so on
	Text   string
	File   File
	System string // of a message of type system: what kind of notice it is

	Preference string // of a customer: stop or resume; empty for a message or status

	Status    string // sent, delivered, read or failed; empty for a message
	Recipient string // of a status: the customer, digits only
	// User is the customer's user id, of a message or a status; Contact is the one in contacts, and Digits
	// the number there.
	User, Contact, Digits string
	Opaque                string // of a status: what the business attached to the message

	// Context is the id of the message that a message answers, and ContextFrom who wrote that
	// one, digits only.
	Context, ContextFrom string
	ContextUser          string // user id of who wrote that one
	// About is the id of the message that a reaction, an edit or a revoke is about. Text is
	// an edit's new text, Emoji the reaction; HasEmoji is false for a reaction that was removed.
	About    string
	Emoji    string
	HasEmoji bool

	// Chosen is the id of an offered answer that a message of type interactive is, or the payload
	// of one of type button, and ChoiceKind what that says it is.
	Chosen, ChoiceKind string
	// Place is a location's latitude and longitude, with a comma between them.
	Place string

	// Unencrypted is true for what was not encrypted, Clear names the fields of an encrypted
	// message that were not, with a space between two.
	Unencrypted bool
	Clear       string
	// Identity is the hash of the sender's identity key, or of the key that a notice is
	// about; Accepted says of a notice that the key was accepted.
	Identity string
	Accepted bool
	// Code and Details are of the first error, Errors is how many there are.
	Code    int
	Details string
	Errors  int
}

// File is what a webhook says about a file.
type File struct {
	ID       string
	MIME     string `json:"mime_type"`
	SHA256   string
	Filename string
	Caption  string
	Voice    bool
	Animated bool
}

// The wire form, as far as tests use it.
type (
	payload struct {
		Entry []struct{ Changes []struct{ Value value } }
	}
	value struct {
		Contacts []contact
		Messages []message
		Statuses []status
		Prefs    []preference `json:"user_preferences"`
	}
	preference struct {
		WaID            string `json:"wa_id"`
		UserID          string `json:"user_id"`
		Category, Value string
	}
	contact struct {
		Profile  struct{ Name string }
		WaID     string `json:"wa_id"`
		UserID   string `json:"user_id"`
		Identity string `json:"identity_key_hash"`
	}
	message struct {
		ID, From, Type string
		FromUser       string `json:"from_user_id"`
		Text           struct{ Body string }
		Unencrypted    bool
		Clear          []string `json:"unencrypted_fields"`

		Context  reference
		Reaction struct {
			MessageID string `json:"message_id"`
			Emoji     *string
		}
		Edit struct {
			OriginalID string `json:"original_message_id"`
			Message    struct {
				Context reference
				Type    string
				Text    struct{ Body string }
			}
		}
		Revoke struct {
			OriginalID string `json:"original_message_id"`
		}

		Location *struct{ Latitude, Longitude json.Number }

		Interactive struct {
			Type        string
			ButtonReply struct{ ID string } `json:"button_reply"`
			ListReply   struct{ ID string } `json:"list_reply"`
		}

		Button struct{ Payload string }

		Image, Video, Audio, Document, Sticker *File

		Errors []wireError
		System struct {
			Type, Identity string
			Accepted       bool
		}
	}
	reference struct {
		From, ID string
		FromUser string `json:"from_user_id"`
	}
	status struct {
		ID, Status string
		Recipient  string `json:"recipient_id"`
		UserID     string `json:"recipient_user_id"`
		Opaque     string `json:"biz_opaque_callback_data"`
		Errors     []wireError
	}
	wireError struct {
		Code int
		Data struct{ Details string } `json:"error_data"`
	}
)

// Decode returns what a webhook's body tells, in order: that of each change of each entry. A body without entries, or
// an entry without changes, is an error.
func Decode(body []byte) ([]Update, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("reading a webhook: %w", err)
	}
	if len(p.Entry) == 0 {
		return nil, errors.New("reading a webhook: it has no entries")
	}
	var all []Update
	for _, e := range p.Entry {
		if len(e.Changes) == 0 {
			return nil, errors.New("reading a webhook: an entry has no changes")
		}
		for _, c := range e.Changes {
			all = append(all, c.Value.updates()...)
		}
	}
	return all, nil
}

// updates are what one change tells.
func (v value) updates() (all []Update) {
	for _, m := range v.Messages {
		u := m.update()
		if len(v.Contacts) > 0 {
			u.Contact, u.Digits = v.Contacts[0].UserID, v.Contacts[0].WaID
			u.Name = v.Contacts[0].Profile.Name
			u.Identity = cmp.Or(u.Identity, v.Contacts[0].Identity)
		}
		all = append(all, u)
	}
	for _, p := range v.Prefs {
		all = append(all, Update{Preference: p.Value, From: p.WaID, User: p.UserID, Type: p.Category})
	}
	for _, s := range v.Statuses {
		u := Update{ID: s.ID, Status: s.Status, Recipient: s.Recipient, User: s.UserID, Opaque: s.Opaque}
		if len(v.Contacts) > 0 {
			u.Contact, u.Digits = v.Contacts[0].UserID, v.Contacts[0].WaID
		}
		u.error(s.Errors)
		all = append(all, u)
	}
	return all
}

func (m message) update() Update {
	u := Update{
		ID: m.ID, From: m.From, User: m.FromUser, Type: m.Type, Text: m.Text.Body, Unencrypted: m.Unencrypted,
		System: m.System.Type, Identity: m.System.Identity, Accepted: m.System.Accepted,
		Context: m.Context.ID, ContextFrom: m.Context.From, ContextUser: m.Context.FromUser, Clear: strings.Join(m.Clear, " "),
		Chosen: cmp.Or(m.Interactive.ButtonReply.ID, m.Interactive.ListReply.ID, m.Button.Payload), ChoiceKind: m.Interactive.Type,
		About: cmp.Or(m.Reaction.MessageID, m.Edit.OriginalID, m.Revoke.OriginalID),
	}
	if e := m.Edit.Message; e.Type == "text" {
		u.Text, u.Context, u.ContextFrom = e.Text.Body, e.Context.ID, e.Context.From
	}
	if m.Location != nil {
		u.Place = m.Location.Latitude.String() + "," + m.Location.Longitude.String()
	}
	if m.Reaction.Emoji != nil {
		u.Emoji, u.HasEmoji = *m.Reaction.Emoji, true
	}
	for _, f := range []*File{m.Image, m.Video, m.Audio, m.Document, m.Sticker} {
		if f != nil {
			u.File = *f
		}
	}
	u.error(m.Errors)
	return u
}

func (u *Update) error(errs []wireError) {
	if u.Errors = len(errs); u.Errors > 0 {
		u.Code, u.Details = errs[0].Code, errs[0].Data.Details
	}
}
