package webhook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// Account is the business that the webhooks are for.
type Account struct {
	BusinessAccountID string
	PhoneNumberID     string
	Phone             phone.Number
	// HideNumbers leaves customers' numbers out of all webhooks: the business knows them by their user ids only.
	HideNumbers bool
	// MarkFiles has the ids of files begin with the number's and a slash, as the endpoint shows them.
	MarkFiles bool
}

// Message is a customer's message, as the business gets it.
type Message struct {
	ID   string
	From phone.Number // without digits if the customer has no number
	User string       // the customer's user id
	Name string       // as the customer's client told it; empty: webhooks have the number, or the user id
	Time time.Time
	// Text is the content of a text message. It is not used when Errors is not empty.
	Text string
	// Media makes it a message of the file's kind, without Text.
	Media *Media
	// Unencrypted marks a text that was not encrypted. The Cloud API has no such field; its
	// clients ignore unknown fields in webhooks.
	Unencrypted bool
	// Context names the message that it answers; nil for none. ContextClear says that this
	// was not encrypted.
	Context      *Context
	ContextClear bool
	// Corrects is the id of the customer's message that it replaces, which makes it a message
	// of type "edit"; empty for none. CorrectsClear says that this was not encrypted.
	Corrects      string
	CorrectsClear bool
	// Place makes it a message of type "location", and Chosen one of type "interactive"
	// or "button", without Text.
	Place  *rich.Place
	Chosen *Chosen
	// Errors make it a message of type "unsupported".
	Errors []Error
	// IdentityHash names the identity key that authenticated it; empty when none did.
	IdentityHash string
}

// State is what became of an outgoing message.
type State string

// The states that a status can report.
const (
	Sent      State = "sent"
	Delivered State = "delivered"
	Read      State = "read"
	Failed    State = "failed"
)

// Status tells what became of a message that the business sent.
type Status struct {
	ID        string
	State     State
	Time      time.Time
	Recipient phone.Number
	User      string // the recipient's user id
	Name      string // as the recipient's client told it; may be empty
	// ToUser says that the business sent the message to the user id, and not to a number.
	ToUser bool
	Opaque string // biz_opaque_callback_data; may be empty
	Errors []Error
}

// Error is an error object within a message or a status.
type Error struct {
	Code    int
	Title   string
	Details string
}

// Codes of errors that webhooks carry.
const (
	CodeInvalidValue  = 131009
	CodeUnavailable   = 131016
	CodeUndeliverable = 131026
	CodeUnsupported   = 131051
)

// Codes of errors about content that is gone (developers.facebook.com, "No storage").
const (
	// CodeNotDelivered is that of a customer's message that the business did not take in time.
	CodeNotDelivered = 131035
	// CodeContentGone is that of the business's message that cannot be sent any more.
	CodeContentGone = 131036
)

// Undeliverable is the error of a message that cannot reach its recipient.
func Undeliverable(details string) Error {
	return Error{Code: CodeUndeliverable, Title: "Message undeliverable", Details: details}
}

// InvalidValue is the error of a message that names something that does not exist.
func InvalidValue(details string) Error {
	return Error{Code: CodeInvalidValue, Title: "Parameter value is not valid", Details: details}
}

// Unavailable is the error of a message that a server on the way could not accept for too long;
// the recipient may exist.
func Unavailable(details string) Error {
	return Error{Code: CodeUnavailable, Title: "Service unavailable", Details: details}
}

// Unsupported is the error of a message that the relay could not read.
func Unsupported(details string) Error {
	return Error{Code: CodeUnsupported, Title: "Message type unknown", Details: details}
}

// The wire form (developers.facebook.com, "Webhooks, messages").
type (
	payload struct {
		Object string  `json:"object"`
		Entry  []entry `json:"entry"`
	}
	entry struct {
		ID      string   `json:"id"`
		Changes []change `json:"changes"`
	}
	change struct {
		Value value  `json:"value"`
		Field string `json:"field"`
	}
	value struct {
		MessagingProduct string    `json:"messaging_product"`
		Metadata         metadata  `json:"metadata"`
		Contacts         []contact `json:"contacts,omitempty"`
		Messages         []message `json:"messages,omitempty"`
		Statuses         []status  `json:"statuses,omitempty"`
		// Preferences stand in webhooks of the field user_preferences.
		Preferences []preference `json:"user_preferences,omitempty"`
		// Errors repeat that a message's content was lost: the hosted API says it only here.
		Errors []wireError `json:"errors,omitempty"`
	}
	metadata struct {
		DisplayPhoneNumber string `json:"display_phone_number"`
		PhoneNumberID      string `json:"phone_number_id"`
	}
	contact struct {
		Profile      profile `json:"profile"`
		WaID         string  `json:"wa_id,omitempty"`
		UserID       string  `json:"user_id,omitempty"`
		IdentityHash string  `json:"identity_key_hash,omitempty"`
	}
	profile struct {
		Name string `json:"name"`
	}
	message struct {
		Context     *contextObject `json:"context,omitempty"`
		From        string         `json:"from,omitempty"`
		FromUser    string         `json:"from_user_id,omitempty"`
		ID          string         `json:"id"`
		Timestamp   string         `json:"timestamp"`
		Type        string         `json:"type"`
		Text        *text          `json:"text,omitempty"`
		Image       *file          `json:"image,omitempty"`
		Video       *file          `json:"video,omitempty"`
		Audio       *file          `json:"audio,omitempty"`
		Document    *file          `json:"document,omitempty"`
		Sticker     *file          `json:"sticker,omitempty"`
		Location    *rich.Place    `json:"location,omitempty"`
		Interactive *interactive   `json:"interactive,omitempty"`
		Button      *button        `json:"button,omitempty"`
		Edit        *edit          `json:"edit,omitempty"`
		Reaction    *reaction      `json:"reaction,omitempty"`
		Revoke      *revoke        `json:"revoke,omitempty"`
		Unencrypted bool           `json:"unencrypted,omitempty"`
		Clear       []string       `json:"unencrypted_fields,omitempty"`
		Errors      []wireError    `json:"errors,omitempty"`
		Unsupported *unsupported   `json:"unsupported,omitempty"`
		System      *system        `json:"system,omitempty"`
	}
	text struct {
		Body string `json:"body"`
	}
	unsupported struct {
		Type string `json:"type"`
	}
	status struct {
		ID          string      `json:"id"`
		Status      State       `json:"status"`
		Timestamp   string      `json:"timestamp"`
		RecipientID string      `json:"recipient_id,omitempty"`
		UserID      string      `json:"recipient_user_id,omitempty"`
		Opaque      string      `json:"biz_opaque_callback_data,omitempty"`
		Errors      []wireError `json:"errors,omitempty"`
	}
	wireError struct {
		Code    int        `json:"code"`
		Title   string     `json:"title"`
		Message string     `json:"message"`
		Data    *errorData `json:"error_data,omitempty"`
	}
	errorData struct {
		Details string `json:"details"`
	}
)

// MessagePayload returns the payload of a webhook for m.
func (a Account) MessagePayload(m Message) ([]byte, error) {
	w := message{
		From: a.digits(m.From), FromUser: m.User, ID: m.ID, Timestamp: unix(m.Time),
		Type: "text", Text: &text{m.Text}, Unencrypted: m.Unencrypted,
	}
	switch {
	case m.Media != nil:
		w.file(a.shown(*m.Media))
	case m.Place != nil:
		w.Type, w.Text, w.Location = "location", nil, m.Place
	case m.Chosen != nil:
		m.Chosen.write(&w)
	}
	w.refer(a, m)
	if len(m.Errors) > 0 {
		w.Type, w.Text, w.Errors, w.Unsupported = "unsupported", nil, wireErrors(m.Errors), &unsupported{"unknown"}
		w.Location, w.Interactive, w.Button = nil, nil, nil
	}
	who := a.contact(m.From, m.User, m.Name)
	who.IdentityHash = m.IdentityHash
	v := value{Contacts: []contact{who}, Messages: []message{w}}
	if slices.ContainsFunc(m.Errors, func(e Error) bool { return e.Code == CodeNotDelivered }) {
		v.Errors = w.Errors
	}
	return a.payload(v)
}

// digits returns a customer's number as webhooks have it: empty if they may not.
func (a Account) digits(n phone.Number) string {
	if a.HideNumbers {
		return ""
	}
	return n.Digits()
}

// contact returns a customer as webhooks have one. The name is never empty: inboxes show nothing then.
// Who gives themselves no name has their number, or else their user id. There is no username, which is
// unique in the hosted API: a nickname is not, and an address is not the business's to know.
func (a Account) contact(n phone.Number, user, name string) contact {
	digits := a.digits(n)
	return contact{Profile: profile{cmp.Or(name, digits, user)}, WaID: digits, UserID: user}
}

// StatusPayload returns the payload of a webhook for s. It names the recipient as the business did, and
// of what went out beside that by user id: "Business-scoped user IDs" leaves that and contacts out of
// failures. Where numbers are hidden, a message that still went to one is told by its id alone:
// number and user id would show whose the user id is.
func (a Account) StatusPayload(s Status) ([]byte, error) {
	w := status{ID: s.ID, Status: s.State, Timestamp: unix(s.Time), Opaque: s.Opaque, Errors: wireErrors(s.Errors)}
	var v value
	if named := s.ToUser || !a.HideNumbers; named {
		if s.ToUser || s.State != Failed {
			w.UserID = s.User
		}
		if !s.ToUser {
			w.RecipientID = s.Recipient.Digits()
		}
		if s.State != Failed && s.User != "" {
			v.Contacts = []contact{a.contact(s.Recipient, s.User, s.Name)}
		}
	}
	v.Statuses = []status{w}
	return a.payload(v)
}

func (a Account) payload(v value) ([]byte, error) { return a.payloadOf(fieldMessages, v) }

// payloadOf returns the payload of a webhook about a field.
func (a Account) payloadOf(field string, v value) ([]byte, error) {
	v.MessagingProduct = "whatsapp"
	v.Metadata = metadata{DisplayPhoneNumber: a.Phone.Digits(), PhoneNumberID: a.PhoneNumberID}
	return encode(payload{
		Object: "whatsapp_business_account",
		Entry:  []entry{{ID: a.BusinessAccountID, Changes: []change{{Value: v, Field: field}}}},
	})
}

// encode returns a payload, or a part of it, as it is delivered.
func encode(p any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("encoding a webhook: %w", err)
	}
	return ascii(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// fieldMessages is what webhooks about messages and their statuses are about.
const fieldMessages = "messages"

func wireErrors(errs []Error) []wireError {
	var out []wireError
	for _, e := range errs {
		w := wireError{Code: e.Code, Title: e.Title, Message: e.Title}
		if e.Details != "" {
			w.Data = &errorData{e.Details}
		}
		out = append(out, w)
	}
	return out
}

const (
	nulEscape   = `\u0000` // as the encoder writes NUL
	replacement = `\ufffd`
	del         = 0x7f
)

// unix is the API's form of a time: a string of Unix seconds.
func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// ascii escapes everything in a JSON text that is not printable ASCII. Then receivers that decode
// and re-encode a body before they check its signature, as one page of the API's documentation
// suggests, agree with those that check the bytes. NUL becomes U+FFFD, the replacement character:
// databases of receivers refuse it, and the message would be delivered again and again.
func ascii(data []byte) []byte {
	if printable(data) && !bytes.Contains(data, []byte(nulEscape)) {
		return data
	}
	out := make([]byte, 0, len(data)+len(data)/8)
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == '\\' && bytes.HasPrefix(data, []byte(nulEscape)):
			out, size = append(out, replacement...), len(nulEscape)
		case r == '\\': // and what it escapes, which may be a backslash
			out, size = append(out, data[:2]...), 2
		case r < del:
			out = append(out, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		data = data[size:]
	}
	return out
}

// printable tells whether a JSON text, which has no control characters, is printable ASCII.
func printable(data []byte) bool {
	for _, b := range data {
		if b >= del {
			return false
		}
	}
	return true
}
