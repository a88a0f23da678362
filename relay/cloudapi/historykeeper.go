package cloudapi

import (
	"context"
	"time"
)

// History is what the service keeps of what became of the business's messages.
type History interface {
	// SentMessages returns at most limit messages: those behind a place, youngest first, or with back the
	// younger ones next to it. The place 0 is before the youngest. The page may have fewer although there are
	// more.
	SentMessages(ctx context.Context, from int64, back bool, limit int) (SentPage, error)
	// SentByID returns the message with an id, SentAt the one at a place. Both may return ErrUnknownMessage.
	SentByID(ctx context.Context, id string) (SentMessage, error)
	SentAt(ctx context.Context, place int64) (SentMessage, error)
	// SentCounts returns how many messages were sent and delivered in each CountPeriod between two times, in
	// order. Those in which nothing was may be left out.
	SentCounts(ctx context.Context, from, to time.Time) ([]SentCount, error)
}

// SentPage is one page of messages, youngest first.
type SentPage struct {
	Sent []SentMessage
	To   int64 // the place that was read to
	More bool
}

// SentMessage is what became of one message.
type SentMessage struct {
	Place  int64 // among all messages; positive
	ID     string
	Events []SentEvent // oldest first
}

// SentEvent is one status of a message.
type SentEvent struct {
	Status  string // "sent", "delivered", "read" or "failed"
	At      time.Time
	Failure string // why it failed; may be empty
	Webhook WebhookState
}

// WebhookState is what became of a status's webhook; empty if that is not known.
type WebhookState string

// The states of a webhook.
const (
	WebhookPending   WebhookState = "PENDING"
	WebhookRetrying  WebhookState = "RETRYING"
	WebhookDelivered WebhookState = "DELIVERED"
	WebhookFailed    WebhookState = "FAILED" // it is a dead letter
)

// CountPeriod is the time for which there is one SentCount.
const CountPeriod = 30 * time.Minute

// SentCount says how many messages were sent and delivered in the CountPeriod that begins at Start.
type SentCount struct {
	Start           time.Time
	Sent, Delivered int64
}
