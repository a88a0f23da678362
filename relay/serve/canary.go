package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// canaries gives the HTTP interface access to the canary.
type canaries struct{ *message.Service }

var _ cloudapi.Canaries = canaries{}

// Announce implements cloudapi.Canaries, as the following methods do.
func (c canaries) Announce(ctx context.Context, n phone.Number) (cloudapi.Canary, error) {
	is, err := c.Service.Announce(ctx, n)
	switch {
	case errors.Is(err, message.ErrCanaryNumber):
		return cloudapi.Canary{}, cloudapi.ErrCanaryNumber
	case errors.Is(err, message.ErrCanaryKnown), errors.Is(err, message.ErrCanaryRunning):
		return cloudapi.Canary{}, cloudapi.ErrCanaryTaken
	}
	return cloudapi.Canary{UserID: is.UserID, Until: is.Until}, translate(err)
}

// Announced implements cloudapi.Canaries.
func (c canaries) Announced(ctx context.Context) (cloudapi.Canary, error) {
	is, kept, err := c.Service.Announced(ctx)
	if errors.Is(err, message.ErrNoCanary) {
		return cloudapi.Canary{}, cloudapi.ErrNoCanary
	}
	return cloudapi.Canary{UserID: is.UserID, Until: is.Until, Kept: kept}, translate(err)
}

// End implements cloudapi.Canaries.
func (c canaries) End(ctx context.Context) error {
	err := c.EndCanary(ctx)
	switch {
	case errors.Is(err, message.ErrNoCanary):
		return cloudapi.ErrNoCanary
	case errors.Is(err, carrier.ErrOffline), errors.Is(err, context.DeadlineExceeded):
		return cloudapi.ErrUnavailable
	}
	return translate(err)
}

// eraseTime bounds the erasure of a canary, which waits for the carrier.
const eraseTime = 30 * time.Second

// endCanary erases a canary that nobody ended in time.
func (p *parts) endCanary(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, eraseTime)
	defer cancel()
	is, _, err := p.messages.Announced(ctx)
	if err == nil && p.Now().After(is.Until) {
		err = p.messages.EndCanary(ctx)
	}
	if err != nil && !errors.Is(err, message.ErrNoCanary) && ctx.Err() == nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "the canary could not be erased yet", slog.Any("error", err))
	}
}
