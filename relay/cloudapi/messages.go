package cloudapi

import (
	"context"
	"net/http"
)

// messages serves POST /{phone-number-id}/messages.
func (a *API) messages(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q request
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	return a.perform(r.Context(), &q)
}

// perform does what a request to messages asks for.
func (a *API) perform(ctx context.Context, q *request) (any, error) {
	o, err := q.order(a.addressees(ctx))
	switch {
	case err != nil:
		return nil, err
	case o.read != nil:
		return success{true}, fromService(a.Service.MarkRead(ctx, *o.read))
	case o.attachment != nil:
		return a.sendAttachment(ctx, *o.attachment, o.who)
	case o.contacts != nil:
		return a.sendContacts(ctx, *o.contacts, o.who)
	case o.template != nil:
		return a.sendTemplate(ctx, *o.template, o.who)
	case o.reaction != nil:
		return a.sendReaction(ctx, *o.reaction, o.who)
	}
	return a.send(ctx, *o.text, o.who)
}
