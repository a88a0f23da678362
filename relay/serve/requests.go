package serve

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// requests gives the HTTP interface access to the requests that were done once. It implements cloudapi.Requests.
type requests struct{ *message.Service }

var _ cloudapi.Requests = requests{}

// Answered implements cloudapi.Requests.
func (r requests) Answered(ctx context.Context, o cloudapi.Once) (string, error) {
	answer, err := r.Service.Answered(ctx, store.Once(o))
	if errors.Is(err, store.ErrNotFound) {
		return "", cloudapi.ErrNotAnswered
	}
	return answer, translate(err)
}

// Answer implements cloudapi.Requests.
func (r requests) Answer(ctx context.Context, o cloudapi.Once, answer string) (string, error) {
	return once(answer, r.Service.Answer(ctx, store.Once(o), answer))
}

// once returns the answer to a request, or to the one that was done before in its place.
func once(answer string, err error) (string, error) {
	var repeated *message.RepeatedError
	if errors.As(err, &repeated) {
		return repeated.Answer, nil
	}
	return answer, translate(err)
}

// onceOf is a request as the messages know it.
func onceOf(o *cloudapi.Once) *store.Once {
	if o == nil {
		return nil
	}
	return &store.Once{Key: o.Key, Body: o.Body}
}
