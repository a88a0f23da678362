package cloudapi

import (
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// order is what a body asks for: exactly one of its pointers is not nil.
type order struct {
	text       *Text
	attachment *Attachment
	contacts   *card
	reaction   *Reaction
	read       *Read
	input      string // the recipient as the client wrote it
}

// order validates a request. Errors are *Error.
func (q *request) order(self phone.Number) (o order, err error) {
	if q.MessagingProduct == "" {
		return o, errMissing("messaging_product")
	}
	if q.MessagingProduct != product {
		return o, errInvalidValue(`messaging_product must be "whatsapp".`)
	}
	if q.Status != "" {
		o.read, err = q.read()
		return o, err
	}
	to, err := q.recipient(self)
	if err != nil {
		return o, err
	}
	o.input = string(q.To)
	switch {
	case q.Type == "" || q.Type == "text":
		o.text, err = q.text(to)
	case q.Type == "interactive":
		o.text, err = q.interactive(to)
	case q.Type == "location":
		o.text, err = q.location(to)
	case q.Type == "contacts":
		o.contacts, err = q.contacts(to)
	case q.Type == "reaction":
		o.reaction, err = q.reaction(to)
	case media.Kind(q.Type).Valid():
		o.attachment, err = q.attachment(to)
	default:
		err = errUnsupportedType()
	}
	return o, err
}
