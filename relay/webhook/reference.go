package webhook

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Context names the message that another one answers.
type Context struct {
	ID   string
	From phone.Number // who wrote it
	User string       // the user id of who wrote it; empty when it was the business
}

// Reaction tells that a customer reacts to a message, or no longer does.
type Reaction struct {
	ID    string
	From  phone.Number
	User  string // the customer's user id
	Name  string // as the customer's client told it; may be empty
	Time  time.Time
	About string // id of the message
	Emoji string // empty when the reaction was removed
	// Unencrypted says that it was not encrypted: anybody on the way may have written it.
	Unencrypted bool
}

// Revoke tells that a customer takes back a message of theirs.
type Revoke struct {
	ID    string
	From  phone.Number
	User  string // the customer's user id
	Name  string // as the customer's client told it; may be empty
	Time  time.Time
	About string // id of the message
	// Unencrypted is as in a Reaction.
	Unencrypted bool
}

// The wire form (developers.facebook.com, "Webhooks, messages": "Reaction", "Edit", "Revoke").
// Unencrypted and unencrypted_fields are the relay's own; the API's clients ignore unknown
// fields in webhooks.
type (
	contextObject struct {
		From     string `json:"from,omitempty"`
		FromUser string `json:"from_user_id,omitempty"`
		ID       string `json:"id"`
	}
	reaction struct {
		MessageID string `json:"message_id"`
		Emoji     string `json:"emoji,omitempty"` // without it, the reaction was removed
	}
	revoke struct {
		OriginalID string `json:"original_message_id"`
	}
	edit struct {
		OriginalID string  `json:"original_message_id"`
		Message    *edited `json:"message"`
	}
	edited struct {
		Context *contextObject `json:"context,omitempty"`
		Type    string         `json:"type"`
		Text    *text          `json:"text"`
	}
)

// refer writes which messages m is about, and which of these fields were not encrypted.
func (w *message) refer(a Account, m Message) {
	if len(m.Errors) > 0 {
		return
	}
	if m.Media != nil && m.Media.NameClear && w.Document != nil {
		w.Clear = append(w.Clear, "document.filename")
	}
	place := "context"
	if m.Context != nil {
		w.Context = &contextObject{From: a.author(*m.Context), FromUser: m.Context.User, ID: m.Context.ID}
	}
	if m.Corrects != "" && m.Media == nil {
		place = "edit.message.context"
		w.Edit = &edit{OriginalID: m.Corrects, Message: &edited{Type: w.Type, Text: w.Text}}
		if m.Context != nil {
			w.Edit.Message.Context = &contextObject{ID: m.Context.ID} // the API names no author here
		}
		w.Type, w.Text, w.Context = "edit", nil, nil
		if m.CorrectsClear {
			w.Clear = append(w.Clear, "edit.original_message_id")
		}
	}
	if m.Context != nil && m.ContextClear {
		w.Clear = append(w.Clear, place)
	}
}

// ReactionPayload returns the payload of a webhook for r.
func (a Account) ReactionPayload(r Reaction) ([]byte, error) {
	return a.remark(r.From, r.Name, message{
		FromUser: r.User, ID: r.ID, Timestamp: unix(r.Time), Type: "reaction",
		Reaction: &reaction{MessageID: r.About, Emoji: r.Emoji}, Unencrypted: r.Unencrypted,
	})
}

// RevokePayload returns the payload of a webhook for r.
func (a Account) RevokePayload(r Revoke) ([]byte, error) {
	return a.remark(r.From, r.Name, message{
		FromUser: r.User, ID: r.ID, Timestamp: unix(r.Time), Type: "revoke",
		Revoke: &revoke{OriginalID: r.About}, Unencrypted: r.Unencrypted,
	})
}

// remark returns the payload of a customer's message that only says something about another.
func (a Account) remark(from phone.Number, name string, m message) ([]byte, error) {
	m.From = a.digits(from)
	return a.payload(value{Contacts: []contact{a.contact(from, m.FromUser, name)}, Messages: []message{m}})
}

// author returns the number of who wrote the message that another one answers. The business's own is
// never hidden.
func (a Account) author(c Context) string {
	if c.From == a.Phone {
		return c.From.Digits()
	}
	return a.digits(c.From)
}
