package cloudapi

import (
	"fmt"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// order is what a body asks for: exactly one of its pointers is not nil.
type order struct {
	text       *Text
	attachment *Attachment
	contacts   *card
	template   *filling
	reaction   *Reaction
	read       *Read
	who        acceptedContact // the recipient as the client wrote it
}

// order validates a request. Errors are *Error.
func (q *request) order(to addressees) (o order, err error) {
	if err := checkProduct(q.MessagingProduct); err != nil {
		return o, err
	}
	if q.Status != "" {
		o.read, err = q.read()
		return o, err
	}
	n, who, err := q.recipient(to)
	if err != nil {
		return o, err
	}
	o.who = who
	return o, q.fill(&o, n)
}

// fill reads what a message says, by its type.
func (q *request) fill(o *order, to phone.Number) (err error) {
	switch {
	case q.Type == "" || q.Type == "text":
		o.text, err = q.text(to)
	case q.Type == "interactive":
		o.text, err = q.interactive(to)
	case q.Type == "location":
		o.text, err = q.location(to)
	case q.Type == "contacts":
		o.contacts, err = q.contacts(to)
	case q.Type == "template":
		o.template, err = q.template(to)
	case q.Type == "reaction":
		o.reaction, err = q.reaction(to)
	case media.Kind(q.Type).Valid():
		o.attachment, err = q.attachment(to)
	default:
		err = errUnsupportedType()
	}
	if err == nil {
		o.goesTo(o.who.UserID != "", q.IdentityKeyHash)
	}
	return err
}

// goesTo notes with a message whether the business named its recipient by user id, and for which
// identity key it is. A reaction is for none.
func (o *order) goesTo(user bool, identity string) {
	switch {
	case o.text != nil:
		o.text.ToUser, o.text.IdentityHash = user, identity
	case o.attachment != nil:
		o.attachment.ToUser, o.attachment.IdentityHash = user, identity
	case o.contacts != nil:
		o.contacts.ToUser, o.contacts.IdentityHash = user, identity
	case o.template != nil:
		o.template.toUser, o.template.identity = user, identity
	case o.reaction != nil:
		o.reaction.ToUser = user
	}
}

// isOnce adds the request's idempotency key to the order.
func (o *order) isOnce(once *Once) {
	switch {
	case o.read != nil:
		o.read.Once = once
	case o.text != nil:
		o.text.Once = once
	case o.attachment != nil:
		o.attachment.Once = once
	case o.contacts != nil:
		o.contacts.Once = once
	case o.template != nil:
		o.template.once = once
	case o.reaction != nil:
		o.reaction.Once = once
	}
}

// interactive reads an interactive message, whose envelope was checked.
func (q *request) interactive(to phone.Number) (*Text, error) {
	t, err := q.Interactive.text()
	if err != nil {
		return nil, err
	}
	t.To, t.Opaque, t.ReplyTo = to, q.Opaque, q.replyTo()
	return t, nil
}

// template reads a message by a template, whose envelope was checked.
func (q *request) template(to phone.Number) (*filling, error) {
	f, err := q.Template.filling()
	if err != nil {
		return nil, err
	}
	f.to, f.opaque, f.replyTo = to, q.Opaque, q.replyTo()
	return f, nil
}

// location reads a location, whose envelope was checked.
func (q *request) location(to phone.Number) (*Text, error) {
	p, err := q.Location.place("location")
	if err != nil {
		return nil, err
	}
	return &Text{To: to, Body: p.Text(), Opaque: q.Opaque, ReplyTo: q.replyTo()}, nil
}

// attachment reads a message with a file, whose envelope was checked.
func (q *request) attachment(to phone.Number) (*Attachment, error) {
	kind := media.Kind(q.Type)
	f := q.fileOf(kind)
	a, err := f.attachment(q.Type, kind)
	if err != nil {
		return nil, err
	}
	if err := atMost(q.Type+".caption", f.Caption, MaxCaption); err != nil {
		return nil, err
	}
	if f.Caption != "" && (kind == media.Audio || kind == media.Sticker) {
		return nil, errInvalidParameter(fmt.Sprintf("Param %s.caption does not exist.", q.Type))
	}
	a.To, a.Caption, a.Opaque, a.ReplyTo = to, f.Caption, q.Opaque, q.replyTo()
	return a, nil
}
