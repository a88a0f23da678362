package cloudapi

import (
	"fmt"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// request has the parameters of a POST to messages. Fields of message types that are not
// supported are not read, and unknown fields are ignored, as the API does.
type request struct {
	MessagingProduct string             `json:"messaging_product"`
	RecipientType    string             `json:"recipient_type"`
	To               identifier         `json:"to"`
	Recipient        identifier         `json:"recipient"`
	Type             string             `json:"type"`
	Text             *textObject        `json:"text"`
	Interactive      *interactiveObject `json:"interactive"`
	Location         *locationObject    `json:"location"`
	Contacts         []contactObject    `json:"contacts"`
	Template         *templateObject    `json:"template"`
	Reaction         *reactionObject    `json:"reaction"`
	Context          *contextObject     `json:"context"`
	Opaque           string             `json:"biz_opaque_callback_data"`
	IdentityKeyHash  string             `json:"recipient_identity_key_hash"`
	Status           string             `json:"status"`
	MessageID        string             `json:"message_id"`
	TypingIndicator  *typingIndicator   `json:"typing_indicator"`
	Image            *fileObject        `json:"image"`
	Video            *fileObject        `json:"video"`
	Audio            *fileObject        `json:"audio"`
	Document         *fileObject        `json:"document"`
	Sticker          *fileObject        `json:"sticker"`
}

type textObject struct {
	Body    string  `json:"body"`
	Preview yesOrNo `json:"preview_url"`
}

type contextObject struct {
	MessageID string `json:"message_id"`
}

type typingIndicator struct {
	Type string `json:"type"`
}

func (q *request) read() (*Read, error) {
	switch {
	case q.Status != "read":
		return nil, errInvalidValue(`status must be "read".`)
	case q.MessageID == "":
		return nil, errMissing("message_id")
	case len(q.MessageID) > MaxMessageID:
		return nil, errInvalidValue(fmt.Sprintf("message_id must have at most %d bytes.", MaxMessageID))
	case q.TypingIndicator != nil && q.TypingIndicator.Type != "text":
		return nil, errInvalidValue(`typing_indicator.type must be "text".`)
	}
	return &Read{MessageID: q.MessageID, Typing: q.TypingIndicator != nil}, nil
}

// recipient checks what all types of message have in common.
func (q *request) recipient(a addressees) (phone.Number, acceptedContact, error) {
	if err := q.envelope(); err != nil {
		return phone.Number{}, acceptedContact{}, err
	}
	return a.recipient(naming{number: string(q.To), user: string(q.Recipient), numberParam: "to", userParam: "recipient"})
}

func (q *request) text(to phone.Number) (*Text, error) {
	switch {
	case q.Text == nil:
		return nil, errMissing("text")
	case q.Text.Body == "":
		return nil, errMissing("text.body")
	}
	if err := atMost("text.body", q.Text.Body, MaxTextLength); err != nil {
		return nil, err
	}
	return &Text{To: to, Body: q.Text.Body, Opaque: q.Opaque, ReplyTo: q.replyTo()}, nil
}

func (q *request) replyTo() string {
	if q.Context == nil {
		return ""
	}
	return q.Context.MessageID
}

// envelope checks everything about a message except its recipient's number and its content.
func (q *request) envelope() error {
	switch {
	case q.RecipientType != "" && q.RecipientType != "individual":
		return errInvalidValue(`recipient_type must be "individual": this relay has no groups.`)
	case q.To == "" && q.Recipient == "":
		return errMissing("to")
	case len(q.Opaque) > MaxOpaque:
		return errInvalidValue(fmt.Sprintf("biz_opaque_callback_data must have at most %d bytes.", MaxOpaque))
	case q.IdentityKeyHash != "" && q.Type == "reaction":
		// It may go in clear. Ignoring the hash would send to an identity that the business did not mean.
		return errInvalidValue("recipient_identity_key_hash is not supported in reactions: send them without it.")
	case len(q.IdentityKeyHash) > MaxIdentityHash:
		return errInvalidValue(fmt.Sprintf("recipient_identity_key_hash must have at most %d bytes.", MaxIdentityHash))
	case q.Context != nil && len(q.Context.MessageID) > MaxMessageID:
		return errInvalidValue(fmt.Sprintf("context.message_id must have at most %d bytes.", MaxMessageID))
	}
	return nil
}

// fileOf returns the object of a message's type.
func (q *request) fileOf(k media.Kind) *fileObject {
	switch k {
	case media.Image:
		return q.Image
	case media.Video:
		return q.Video
	case media.Audio:
		return q.Audio
	case media.Document:
		return q.Document
	case media.Sticker:
		return q.Sticker
	}
	return nil
}
