package cloudapi

import (
	"context"
	"net/http"
)

// messages serves POST /{phone-number-id}/messages.
func (a *API) messages(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	var q request
	if err := decodeParams(r, body, &q); err != nil {
		return nil, err
	}
	once, err := a.once(r, routeMessages, body)
	if err != nil {
		return nil, err
	}
	return a.perform(r.Context(), &q, once)
}

// perform does what a request to messages asks for; once, unless that is nil.
func (a *API) perform(ctx context.Context, q *request, once *Once) (any, error) {
	if answer, done, err := a.again(ctx, q, once); done || err != nil {
		return answer, err
	}
	o, err := q.order(a.addressees(ctx))
	o.isOnce(once)
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
