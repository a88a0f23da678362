package cloudapi

import "context"

// send passes a text to the service.
func (a *API) send(ctx context.Context, t Text, who acceptedContact) (any, error) {
	id, err := a.limits.accept(t.To, a.Now(), func() (string, error) { return a.Service.AcceptText(ctx, t) })
	if err != nil {
		return nil, fromService(err)
	}
	return acceptance(who, id), nil
}
