package serve

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
)

// SentMessages implements cloudapi.History, as the following methods do.
func (s service) SentMessages(ctx context.Context, from int64, back bool, limit int) (cloudapi.SentPage, error) {
	found, err := s.Service.SentMessages(ctx, message.SentQuery{From: from, Back: back, Limit: limit})
	if err != nil {
		return cloudapi.SentPage{}, translate(err)
	}
	page := cloudapi.SentPage{To: found.To, More: found.More}
	for _, m := range found.Sent {
		page.Sent = append(page.Sent, sentMessage(m))
	}
	return page, nil
}

// SentByID implements cloudapi.History.
func (s service) SentByID(ctx context.Context, id string) (cloudapi.SentMessage, error) {
	m, err := s.Service.SentByID(ctx, id)
	return sentMessage(m), unknownSent(err)
}

// SentAt implements cloudapi.History.
func (s service) SentAt(ctx context.Context, place int64) (cloudapi.SentMessage, error) {
	m, err := s.Service.SentAt(ctx, place)
	return sentMessage(m), unknownSent(err)
}

// SentCounts implements cloudapi.History.
func (s service) SentCounts(ctx context.Context, from, to time.Time) ([]cloudapi.SentCount, error) {
	found, err := s.Service.SentCounts(ctx, from, to)
	counts := make([]cloudapi.SentCount, len(found))
	for i, c := range found {
		counts[i] = cloudapi.SentCount(c)
	}
	return counts, translate(err)
}

func unknownSent(err error) error {
	if errors.Is(err, message.ErrUnknownSent) {
		return cloudapi.ErrUnknownMessage
	}
	return translate(err)
}

func sentMessage(m message.Sent) cloudapi.SentMessage {
	shown := cloudapi.SentMessage{Place: m.Place, ID: m.ID}
	for _, e := range m.Events {
		shown.Events = append(shown.Events, cloudapi.SentEvent{Status: e.State, At: e.At, Failure: e.Failure, Webhook: webhookState(e)})
	}
	return shown
}

func webhookState(e message.SentEvent) cloudapi.WebhookState {
	switch e.Webhook {
	case message.WebhookPending:
		return cloudapi.WebhookPending
	case message.WebhookRetrying:
		return cloudapi.WebhookRetrying
	case message.WebhookDelivered:
		return cloudapi.WebhookDelivered
	case message.WebhookFailed:
		return cloudapi.WebhookFailed
	case message.WebhookUnknown:
	}
	return ""
}
