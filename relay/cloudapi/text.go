package cloudapi

import "context"

// send passes a text to the service.
func (a *API) send(ctx context.Context, t Text, who acceptedContact) (any, error) {
	if err := a.limits.take(t.To, a.Now()); err != nil {
		return nil, err
	}
	id, err := a.Service.AcceptText(ctx, t)
	if err != nil {
		return nil, fromService(err)
	}
	return acceptance(who, id), nil
}
